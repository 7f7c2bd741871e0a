"""The Korean edition: its texts in catalogues, and the files that are built of them."""
