"""Local files: replaced atomically, written durably, read into memory of their own, at the speed of the machine."""
