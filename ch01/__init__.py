"""Chapter 1: what a language model is, by counting; a tour of what the course will build."""
