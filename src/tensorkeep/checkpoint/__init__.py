"""Checkpoints of training runs: steps on the disk, when they are saved, which are kept, how a run goes on."""
