"""Context."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import tensorkeep.mxnet as mx


def test_default_ctx_is_deprecated_and_works() -> None:
    """Reading and setting it warn, and what is set is where new arrays go."""
    with pytest.warns(DeprecationWarning, match=r"Context\.default_ctx has been deprecated"):
        before = mx.Context.default_ctx
    try:
        with pytest.warns(DeprecationWarning, match=r"Context\.default_ctx has been deprecated"):
            mx.Context.default_ctx = mx.cpu(3)

        assert mx.current_context() == mx.cpu(3)
        assert mx.nd.zeros(1).context == mx.cpu(3)
    finally:
        mx.Context._default_ctx.value = before


def test_data_dir_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """MXNET_HOME says where data lie, for both functions that tell it."""
    monkeypatch.setenv("MXNET_HOME", "/somewhere")

    assert mx.base.data_dir() == mx.gluon.utils.data_dir() == "/somewhere"
