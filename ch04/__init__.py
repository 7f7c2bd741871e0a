"""The GPT model: embeddings, transformer blocks, an output layer."""
