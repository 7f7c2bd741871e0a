"""The depth of chapter 4."""
