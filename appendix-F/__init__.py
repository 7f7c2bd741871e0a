"""The same GPT in pure Python, NumPy, PyTorch, C and CUDA."""
