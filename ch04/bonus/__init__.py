"""Depth for chapter 4: notebooks, and the module that one of them grows."""
