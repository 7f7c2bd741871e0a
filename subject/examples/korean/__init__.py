"""A worked example: a market of a Korean village, told by a generator, and a model of it."""
