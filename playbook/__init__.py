"""The journey through the course as Event, Action, Result, Reflection, built from the notebooks."""
