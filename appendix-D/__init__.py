"""Extras for the training loop: warmup, cosine decay, clipping, accumulation, mixed precision."""
