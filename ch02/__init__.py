"""Text becomes token ids, and token ids become batches of windows."""
