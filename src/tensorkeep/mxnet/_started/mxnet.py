"""What `import mxnet` finds in processes that a program starts by multiprocessing: they get its sys.path, not its finders.

The folder of this file is on the sys.path of programs that `tensorkeep.mxnet._run` runs.
"""

from __future__ import annotations

import os
import sys

import tensorkeep.mxnet

sys.modules["mxnet"] = tensorkeep.mxnet  # the import system hands this on in the place of the module that it loads
tensorkeep.mxnet.install(gpu=os.environ.get("TENSORKEEP_MXNET_GPU") or None)
