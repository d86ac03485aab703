"""The operators as torch functions, one file a family; a file's name that begins with "_" is a helper."""
