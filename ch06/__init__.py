"""Finetuning a GPT to tell spam from other messages."""
