"""gluon.parameter: Parameter, Constant, ParameterDict."""

from __future__ import annotations

from tensorkeep.mxnet.gluon._parameter import Constant, DeferredInitializationError, Parameter, tensor_types
from tensorkeep.mxnet.gluon._parameter_dict import ParameterDict

__all__ = ["Constant", "DeferredInitializationError", "Parameter", "ParameterDict", "tensor_types"]

for _class in (Constant, DeferredInitializationError, Parameter, ParameterDict):
    _class.__module__ = "mxnet.gluon.parameter"
