"""The same GPT four ways: Python, NumPy, PyTorch, and C with CUDA."""
