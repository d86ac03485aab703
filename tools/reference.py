"""The pages of the reference, made from the public names' signatures and docstrings.

python tools/reference.py reference/verbs.md      prints one page
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from typing import Any

# Page → (title, what stands above, the public names on it). tests/docs/test_reference.py holds that no name is missing.
PAGES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "reference/verbs.md": (
        "The verbs",
        "All of them are functions of `tensorkeep`, imported as `import tensorkeep as tk`.",
        ("save", "load", "open", "writer", "convert", "verify", "scan", "diff", "repair"),
    ),
    "reference/records.md": (
        "Files, tensors and reports",
        "What the verbs take and give.",
        (
            "TensorFile",
            "Tensor",
            "TensorSpec",
            "SparseTensor",
            "Inert",
            "TensorWriter",
            "Receipt",
            "VerifyReport",
            "ScanReport",
            "Diff",
        ),
    ),
    "reference/parameters.md": (
        "Parameters of models",
        "From a model to a file, and from any file into a fresh model. [The guide](../guides/parameters.md) shows them.",
        (
            "save_parameters",
            "load_parameters",
            "save_optimizer",
            "load_optimizer",
            "graft",
            "match",
            "LoadReport",
            "Match",
        ),
    ),
    "reference/checkpoints.md": (
        "Checkpoints of training runs",
        (
            "A directory of steps: when they are saved, which are kept, how a run goes on. "
            "[The guide](../guides/checkpoints.md) shows them."
        ),
        (
            "Checkpointer",
            "SaveHandle",
            "Step",
            "every",
            "keep_last",
            "keep_best",
            "keep_every",
            "keep_all",
            "average",
            "TensorkeepWriter",
            "TensorkeepReader",
            "NotCapturedWarning",
            "NotRestoredWarning",
        ),
    ),
    "reference/errors.md": (
        "Errors",
        "",
        (
            "TensorkeepError",
            "CorruptFileError",
            "TruncatedFileError",
            "UnsafeFileError",
            "LimitError",
            "UnsupportedFormatError",
            "UnsupportedDataError",
            "TensorNotFoundError",
            "MismatchError",
            "SaveError",
            "NotEnoughSpaceError",
            "StepExistsError",
            "WriterConflictError",
            "MissingExtraError",
        ),
    ),
}

_SECTION = re.compile(r"^(Args|Returns|Raises|Attributes|Source):\s*(.*)$")


def page(name: str) -> str:
    """The Markdown of one page of the reference."""
    import tensorkeep
    import tensorkeep.errors

    title, above, names = PAGES[name]
    lines = [f"# {title}", ""]
    lines += [*(prose(inspect.getdoc(tensorkeep.errors) or "") if name == "reference/errors.md" else [above]), ""]
    for public in names:
        lines += entry(public, getattr(tensorkeep, public))
    return "\n".join(lines) + "\n"


def entry(name: str, value: Any) -> list[str]:
    """Heading, signature and docstring of a function or class, and of the class's public methods."""
    lines = [f"## {name}", ""]
    if inspect.isclass(value):
        if issubclass(value, BaseException):
            bases = ", ".join(base.__name__ for base in value.__bases__)
            lines += [f"*{bases}*", ""]
        elif dataclasses.is_dataclass(value):
            lines += ["```python", signature(name, value), "```", ""]
        lines += [*prose(own_doc(value)), ""]
        for method, member in vars(value).items():
            if not method.startswith("_") and own_doc(member):
                lines += [f"### {name}.{method}", ""]
                if inspect.isfunction(member):
                    lines += ["```python", signature(method, member), "```", ""]
                lines += [*prose(own_doc(member)), ""]
    else:
        lines += ["```python", signature(f"tk.{name}", value), "```", "", *prose(own_doc(value)), ""]
    return lines


def own_doc(value: Any) -> str:
    """The docstring that the object itself has."""
    found = value.fget if isinstance(value, property) else value
    text = getattr(found, "__doc__", None) if inspect.isfunction(found) or inspect.isclass(found) else None
    return inspect.cleandoc(text) if text else ""


def signature(name: str, value: Any) -> str:
    """The call as one line, or an argument a line when it is long."""
    found = inspect.signature(value)
    parameters = [p for p in found.parameters.values() if p.name != "self"]
    returns = found.return_annotation
    arrow = "" if returns in (inspect.Signature.empty, None, "None") or inspect.isclass(value) else f" -> {returns}"
    texts: list[str] = []
    for i, parameter in enumerate(parameters):
        if parameter.kind is parameter.KEYWORD_ONLY and (
            i == 0 or parameters[i - 1].kind is not parameter.KEYWORD_ONLY
        ):
            texts.append("*")
        text = parameter.name
        if parameter.annotation is not parameter.empty:
            text += f": {parameter.annotation}"
        if parameter.default is not parameter.empty:
            text += " = …" if "<factory>" in repr(parameter.default) else f" = {parameter.default!r}"
        texts.append(text)
    flat = f"{name}({', '.join(texts)}){arrow}"
    if len(flat) <= 100:
        return flat
    return f"{name}(\n" + "".join(f"    {text},\n" for text in texts) + f"){arrow}"


def prose(doc: str) -> list[str]:
    """A docstring as Markdown: its sections become lists, indented drawings become code."""
    lines: list[str] = []
    section = ""
    in_code = False
    for line in doc.splitlines():
        found = _SECTION.match(line)
        indented = line.startswith("    ")
        if not section and indented != in_code and (line.strip() or in_code):
            lines.append("```text" if indented else "```")
            in_code = indented
        if found:
            section, rest = found.groups()
            lines += ["", f"**{section}**", "", *([escape(rest)] if rest else [])]
        elif section in ("Args", "Attributes") and re.match(r"^    \S[^:]*: ", line):
            head, _, text = line.strip().partition(": ")
            lines.append(f"- `{head}`: {escape(text)}")
        elif section == "Raises" and re.match(r"^    [A-Z]\w+.*?: ", line):
            lines.append(f"- {escape(line.strip())}")
        elif section and indented:
            lines.append(("" if section == "Returns" else "  ") + escape(line.strip()))
        else:
            if section and line.strip():
                section = ""
                lines.append("")
            lines.append(line if in_code else escape(line))
    return [*lines, "```"] if in_code else lines


def escape(text: str) -> str:
    """The text with what Markdown or HTML would obey made literal, outside of `code`."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        p if i % 2 else p.replace("*", r"\*").replace("<", "&lt;").replace("_", r"\_") for i, p in enumerate(parts)
    )


if __name__ == "__main__":
    print(page(sys.argv[1] if len(sys.argv) > 1 else "reference/verbs.md"))
