"""The depth of chapter 5: how training becomes fast, and what long runs need."""
