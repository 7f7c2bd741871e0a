"""The depth of appendix E: rank, scale and learning rate, and adapters as files."""
