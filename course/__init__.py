"""What every room may use: files that are written whole, and output that no terminal refuses."""
