"""The depth of chapter 4: what stands in the place of a block's parts."""
