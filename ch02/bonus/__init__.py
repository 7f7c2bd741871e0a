"""The depth of chapter 2."""
