"""Typical wrong answers to the exercises of each chapter, and the words of the sentence that fits.

Each module holds WRONG: a list of (check, answers, words). The check gets the answers, must refuse
them, and its sentence must hold the words.
"""
