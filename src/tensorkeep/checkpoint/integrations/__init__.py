"""Checkpoints where people train: one file a framework, imported by whoever has the framework, and by nothing else.

from tensorkeep.checkpoint.integrations.lightning import CheckpointerCallback, TensorkeepIO
from tensorkeep.checkpoint.integrations.huggingface import CheckpointerCallback
from tensorkeep.checkpoint.integrations.keras import CheckpointerCallback
from tensorkeep.checkpoint.integrations.mxnet import EpochCheckpoint

Accelerate, Gluon and plain loops need none: their objects go into a Checkpointer's state as they are.
"""
