"""Three competitions: their files, their measures, a baseline for each."""
