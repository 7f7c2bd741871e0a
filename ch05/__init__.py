"""Pretraining: a loss, a training loop, decoding, and weights on disk."""
