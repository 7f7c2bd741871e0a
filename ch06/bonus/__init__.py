"""The depth of chapter 6: the same classifiers, asked by others."""
