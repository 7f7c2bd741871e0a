"""A museum of clocks: its texts, its facts, and a small model that knows them."""
