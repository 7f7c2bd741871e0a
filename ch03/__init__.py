"""Attention: every token reads itself and the tokens before it."""
