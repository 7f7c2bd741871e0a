"""PyTorch, and automatic differentiation built before using it."""
