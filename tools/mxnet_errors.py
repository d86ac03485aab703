"""Ask real MXNet 1.9.1 what it says of the calls of tests/mxnet/cases_errors.py: tests/golden/mxnet/errors.json.

python tools/mxnet_errors.py    # by an interpreter that has MXNet 1.9.1 and NumPy below 1.24
"""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
GOLDEN = ROOT / "tests" / "golden" / "mxnet"


def answer(case: Any, mx: Any) -> dict[str, Any]:
    """The result of a call as text, or the exception's class and text."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return {"raised": None, "text": str(case(mx, os.path.join(folder, "file"), GOLDEN))}
        except Exception as err:  # noqa: BLE001 - what it is, is recorded
            return {"raised": f"{type(err).__module__}.{type(err).__qualname__}", "text": str(err)}


def main() -> None:
    """Write the answers."""
    import mxnet as mx

    from tests.mxnet.cases_errors import CASES

    logging.disable(logging.CRITICAL)
    answers = {name: answer(case, mx) for name, case in CASES.items()}
    (GOLDEN / "errors.json").write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")
    print(len(answers), "answers")


if __name__ == "__main__":
    main()
