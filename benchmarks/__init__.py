"""What tensorkeep needs beside its peers and the physical limit: `python -m benchmarks`."""
