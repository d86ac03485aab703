"""What all tests share: where the files of real tools lie, and how much hypothesis tries."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared"
FUZZ_EXAMPLES = int(os.environ.get("TENSORKEEP_FUZZ", "0"))

# The suite gives the same verdict each time: no deadlines, no random seed. The nightly run looks at new cases.
settings.register_profile(
    "suite", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile(
    "nightly", settings.get_profile("suite"), derandomize=False, max_examples=FUZZ_EXAMPLES or 100
)
settings.load_profile("nightly" if FUZZ_EXAMPLES else "suite")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder `shared` beside the checkout, with files that real MXNet wrote; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder 'shared' is not beside this checkout: its files of real tools cannot be compared")
    return SHARED


@pytest.fixture(scope="session")
def golden() -> Path:
    """tests/golden: the small files of real tools that travel with the checkout."""
    return TESTS / "golden"


def threads_at_work() -> list[threading.Thread]:
    """What was started and has not ended, beside the main thread and what libraries of other tests left to die with the process."""
    return [each for each in threading.enumerate() if not each.daemon and each.ident != threading.main_thread().ident]
