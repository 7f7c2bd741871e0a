"""Worked examples: each a project with its generator of texts, its notebooks and its results."""
