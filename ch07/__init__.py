"""Finetuning a GPT to follow instructions, and judging what it answers."""
