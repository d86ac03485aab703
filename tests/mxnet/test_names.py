"""The names of MXNet 1.9.1 at the top and in mx.contrib: all are there, or refused by name."""

from __future__ import annotations

import logging
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx
from tensorkeep.mxnet.base import MXNetError

# dir(mxnet) of MXNet 1.9.1, without what Python puts there.
TOP = """
AttrScope Context MXNetError __version__ _api_internal _ctypes _cy3 _ffi _global_var _numpy_op_doc api attribute autograd
base callback context contrib cpu cpu_pinned current_context engine error executor executor_manager gluon gpu image img
init initializer io is_np_array is_np_shape kv kvstore libinfo library log lr_scheduler metric mod model module mon
monitor name nd ndarray ndarray_doc notebook np np_array np_shape np_symbol npx numpy numpy_dispatch_protocol
numpy_extension numpy_op_fallback numpy_op_signature onnx operator optimizer profiler random recordio registry rnd rnn
rtc runtime set_np_shape sym symbol symbol_doc test_utils th torch tvmop use_np use_np_array use_np_shape util
visualization viz
"""
CONTRIB = "autograd io nd ndarray onnx quant quantization sym symbol tensorboard text"
REFUSED = {
    "_api_internal", "_ctypes", "_cy3", "_ffi", "_global_var", "_numpy_op_doc", "api", "library", "ndarray_doc",
    "notebook", "numpy_op_fallback", "numpy_op_signature", "onnx", "rtc", "symbol_doc", "th", "torch", "tvmop",
}  # fmt: skip


@pytest.mark.parametrize("name", TOP.split())
def test_name_is_there_or_refused(name: str) -> None:
    """Every public name of MXNet 1.9.1 works or says that tensorkeep lacks it: none is just missing."""
    if name in REFUSED:
        with pytest.raises(AttributeError, match=f"'{name}': tensorkeep does not have it"):
            getattr(mx, name)
    else:
        assert getattr(mx, name) is not None


@pytest.mark.parametrize("name", [*CONTRIB.split(), "amp", "svrg_optimization"])
def test_contrib_is_there(name: str) -> None:
    """Every module of mxnet.contrib that is claimed can be reached."""
    assert getattr(mx.contrib, name) is not None


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("contrib.amp.amp", "init"), ("contrib.amp.amp", "convert_bucketing_module"),
        ("contrib.onnx", "export_model"), ("contrib.quantization", "quantize_model"),
        ("contrib.svrg_optimization", "SVRGModule"), ("libinfo", "find_lib_path"),
    ],
)  # fmt: skip
def test_refused_functions_say_so(module: str, name: str) -> None:
    """They take any arguments and raise an error with their own name."""
    function = getattr(import_module(f"tensorkeep.mxnet.{module}"), name)
    with pytest.raises(MXNetError, match=rf"mxnet\.{module}\.{name}: tensorkeep does not have it\. "):
        function("anything", even=1)


def test_amp_has_the_names_of_its_module() -> None:
    """The package gives what its module has, as in MXNet."""
    assert mx.contrib.amp.convert_model is mx.contrib.amp.amp.convert_model


def test_errors_are_kept_by_name() -> None:
    """A registered class stays usable, and an internal error carries MXNet's hint."""

    @mx.error.register
    class OwnError(MXNetError):
        pass

    assert issubclass(OwnError, MXNetError)
    assert "MXNet hint: You hit an internal error" in str(mx.error.InternalError("what"))


def test_loggers_write_once(tmp_path: Path) -> None:
    """Asking twice for a logger adds no second handler; the format is MXNet's, and the old name warns."""
    path = tmp_path / "log"
    for _ in range(2):
        logger = mx.log.get_logger("tests.mxnet.log", filename=str(path), level=mx.log.INFO)
    logger.info("hello")
    logger.debug("quiet")

    assert path.read_text() == "hello\n"
    record = logging.LogRecord("n", logging.ERROR, "/p.py", 3, "text", None, None, "f")
    assert mx.log._Formatter().format(record).endswith("/p.py:f:3]\x1b[0m text")
    with pytest.warns(DeprecationWarning, match="Use get_logger"):
        assert mx.log.getLogger("tests.mxnet.log") is logger
    for handler in logger.handlers:
        handler.close()
