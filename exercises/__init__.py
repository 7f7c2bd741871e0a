"""Exercises that answer back: checks, stubs made from solutions, quizzes, and the progress."""
