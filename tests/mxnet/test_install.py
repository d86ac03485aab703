"""`import mxnet` gives tensorkeep.mxnet; programs run as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")


def python(*args: str, cwd: Path | None = None, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run an interpreter of its own."""
    env = {**os.environ, **({"PYTHONPATH": path} if path else {})}
    return subprocess.run([sys.executable, *args], capture_output=True, text=True, cwd=cwd, env=env)


def said(code: str, path: str | None = None) -> str:
    """What a process prints that runs the code."""
    done = python("-c", code, path=path)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


SAME = """
import sys
import tensorkeep.mxnet as ours
ours.install()
import mxnet as mx
from mxnet import nd, autograd
import mxnet.ndarray.ndarray
import mxnet.nd as short
from mxnet.ndarray.sparse import CSRNDArray
print(mx is ours, nd is ours.nd, short is ours.nd, mxnet.ndarray.ndarray.NDArray is ours.nd.NDArray,
      sys.modules["mxnet.ndarray"] is sys.modules["tensorkeep.mxnet.ndarray"], ours.__spec__.name, ours.nd.__name__,
      autograd is ours.autograd, CSRNDArray.__module__)
"""


def test_modules_are_the_same_objects() -> None:
    """`mxnet` and `tensorkeep.mxnet` are one package under two names, down to submodules."""
    assert said(SAME) == "True True True True True tensorkeep.mxnet tensorkeep.mxnet.ndarray True mxnet.ndarray.sparse"


@pytest.fixture
def other(tmp_path: Path) -> str:
    """A folder with another package that is called mxnet."""
    (tmp_path / "mxnet").mkdir()
    (tmp_path / "mxnet" / "__init__.py").write_text("name = 'another'\n")
    (tmp_path / "mxnet" / "extra.py").write_text("name = 'extra of another'\n")
    return str(tmp_path)


def test_importing_alone_leaves_an_installed_mxnet_alone(other: str) -> None:
    """Whoever has another `mxnet` keeps it until install() is called."""
    code = "import tensorkeep.mxnet; import mxnet, mxnet.extra; print(mxnet.name, mxnet.extra.name)"

    assert said(code, other) == "another extra of another"


def test_install_comes_before_an_installed_mxnet(other: str) -> None:
    """After install() `import mxnet` gives ours."""
    code = "import tensorkeep.mxnet as t; t.install(); import mxnet; print(mxnet is t)"

    assert said(code, other) == "True"


def test_uninstall_gives_the_installed_one_back(other: str) -> None:
    """Ours is forgotten and the next `import mxnet` finds the other one."""
    code = (
        "import tensorkeep.mxnet as t; t.install(); import mxnet, mxnet.nd; t.uninstall(); import mxnet as again;"
        "print(again.name, mxnet is t)"
    )

    assert said(code, other) == "another True"


def test_install_after_another_mxnet_is_refused(other: str) -> None:
    """Two at once would mix their classes: the error says where the first came from, and it stays."""
    code = (
        "import mxnet, tensorkeep.mxnet as t\ntry: t.install()\nexcept RuntimeError as err: print(str(err)[:34])\n"
        "print(mxnet.name)"
    )

    assert said(code, other) == "mxnet was imported already, from /\nanother".replace("/", other[:1])


def test_without_an_mxnet_importing_is_enough() -> None:
    """Where no other is installed, `import mxnet` works once tensorkeep.mxnet was imported."""
    assert said("import tensorkeep.mxnet as t; import mxnet.ndarray; print(mxnet is t)") == "True"


def test_parts_that_are_missing_are_named() -> None:
    """An import of what we do not have says so in one line, by name."""
    done = python("-c", "import tensorkeep.mxnet as t; t.install(); import mxnet.nothing")

    assert done.stderr.strip().endswith(
        "ModuleNotFoundError: No module named 'mxnet.nothing': tensorkeep does not have this part of MXNet."
    )


def test_gpu_is_none_or_cpu() -> None:
    """Other values are refused with those that there are."""
    from tensorkeep.mxnet import install

    with pytest.raises(ValueError, match='gpu is None or "cpu"'):
        install(gpu="cuda")


PROGRAM = """
import sys
import beside
import mxnet as mx
from mxnet import nd, gluon
print(__name__, sys.argv[1:], sys.path[0] == beside.folder, mx.__version__)
print(nd.ones((2,), ctx=mx.gpu(0)))
print([nd.ones(1).asscalar()])
def fails():
    raise ValueError("of the program")
if "fail" in sys.argv:
    fails()
sys.exit(7)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program with a module beside it."""
    (tmp_path / "beside.py").write_text("import os\nfolder = os.path.dirname(os.path.abspath(__file__))\n")
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    return path


WANTED = "__main__ ['--a', 'b'] True 1.9.1\n\n[1. 1.]\n<NDArray 2 @gpu(0)>\n[1.0]\n"


def test_program_runs_unchanged(program: Path, tmp_path: Path) -> None:
    """Name, arguments, path, output and exit status are those of a plain `python program.py`."""
    done = python("-m", "tensorkeep.mxnet", "--gpu", "cpu", str(program), "--a", "b", cwd=tmp_path.parent)

    assert (done.returncode, done.stdout, done.stderr) == (7, WANTED, "")


def test_command_runs_it_too(program: Path) -> None:
    """`tkeep mxnet` does what `python -m tensorkeep.mxnet` does."""
    code = "from tensorkeep.cli import main; import sys; sys.exit(main())"
    done = python("-c", code, "mxnet", "--gpu", "cpu", str(program), "--a", "b")

    assert (done.returncode, done.stdout, done.stderr) == (7, WANTED, "")


def test_traceback_begins_in_the_program(program: Path) -> None:
    """A failure of the program shows its own lines and none of ours."""
    done = python("-m", "tensorkeep.mxnet", "--gpu=cpu", str(program), "fail")
    lines = done.stderr.splitlines()

    assert done.returncode == 1
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1] == f'  File "{program}", line 12, in <module>'
    assert lines[-1] == "ValueError: of the program"
    assert "tensorkeep" not in done.stderr


def test_code_and_modules_run(tmp_path: Path) -> None:
    """`-c` and `-m` work as Python's own do."""
    (tmp_path / "hello.py").write_text("import sys, mxnet\nprint(__name__, sys.argv[1:], mxnet.nd.ones(1).shape)\n")
    code = python("-m", "tensorkeep.mxnet", "-c", "import sys, mxnet; print(__name__, sys.argv)", "x", cwd=tmp_path)
    module = python("-m", "tensorkeep.mxnet", "-m", "hello", "x", cwd=tmp_path)

    assert code.stdout == "__main__ ['-c', 'x']\n", code.stderr
    assert module.stdout == "__main__ ['x'] (1,)\n", module.stderr


WORKERS = """
import multiprocessing
import mxnet as mx
from mxnet.ndarray.sparse import CSRNDArray

def work(array):
    return (array * 2, str(mx.nd.ones(1, ctx=mx.gpu(0)).context), mx.__spec__.name, CSRNDArray.__module__)

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(work, [mx.nd.array([1, 2])]))
"""


def test_processes_that_a_program_starts_have_mxnet_too(tmp_path: Path) -> None:
    """Workers that are spawned find `mxnet`, with the same settings."""
    (tmp_path / "workers.py").write_text(WORKERS)
    done = python("-m", "tensorkeep.mxnet", "--gpu", "cpu", "workers.py", cwd=tmp_path)

    assert done.stdout == (
        "[(\n[2. 4.]\n<NDArray 2 @cpu(0)>, 'gpu(0)', 'tensorkeep.mxnet', 'mxnet.ndarray.sparse')]\n"
    ), done.stderr


def test_mistakes_of_the_program_are_printed_as_python_prints_them(tmp_path: Path) -> None:
    """A syntax error and a failure in `-c` code look as they do without us."""
    (tmp_path / "bad.py").write_text("x = (\n")
    bad = python("-m", "tensorkeep.mxnet", "bad.py", cwd=tmp_path)
    code = python("-m", "tensorkeep.mxnet", "-c", "def f(): 1 / 0\nf()", cwd=tmp_path)

    assert bad.returncode == 1
    assert bad.stderr.startswith('  File "')
    assert "SyntaxError: '(' was never closed" in bad.stderr
    assert code.stderr.splitlines()[:2] == [
        "Traceback (most recent call last):",
        '  File "<string>", line 2, in <module>',
    ]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ([], "no script is named"),
        (["--gpu"], "--gpu needs a value"),
        (["--gpu", "cuda", "a.py"], "--gpu takes cpu, not cuda"),
        (["--what", "a.py"], "there is no option --what"),
        (["nowhere.py"], "can't open file"),
    ],
)
def test_wrong_usage_is_told(
    args: list[str], text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit status 2, and a text that names what is wrong."""
    from tensorkeep.mxnet.__main__ import main

    assert main(args) == 2
    assert text in capsys.readouterr().err


def test_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The usage goes to the standard output with exit status 0."""
    from tensorkeep.mxnet.__main__ import main

    assert main(["--help"]) == 0
    assert "usage: python -m tensorkeep.mxnet" in capsys.readouterr().out
