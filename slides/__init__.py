"""A chapter on a shared screen: its deck, run-sheet, rehearsal, rescue, questions and handout."""
