"""Chapter 7's depth: what its bonus notebooks build."""
