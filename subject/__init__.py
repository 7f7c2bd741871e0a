"""A model of one's own subject: from a folder of texts to an assistant, in four notebooks."""
