"""The model that the course pretrained itself: its world, its corpus, its recipe, its measures."""
