"""The depth of chapter 6: batches and files, and comparisons that one can believe."""
