"""The bottom room: dtypes, tensors, trees, byte sources, hashing, bounds. It knows no file format and no framework."""
