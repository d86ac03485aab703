"""What mkdocs calls while it builds: pages that nav does not name join their section, and the reference is made from docstrings."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import reference
from mkdocs.structure.files import File


def on_config(config: Any) -> Any:
    """Add to each section with an index.md the other pages of its folder, in the order of their names."""
    docs = Path(config["docs_dir"])
    pages = {*page_names(docs), *reference.PAGES}
    for section in config["nav"]:
        for entries in section.values():
            if isinstance(entries, list):
                complete(entries, pages)
    return config


def page_names(docs: Path) -> set[str]:
    """Every page below the folder, as nav names it."""
    return {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}


def complete(entries: list[Any], pages: set[str]) -> None:
    """Append to a section the pages of its folders that it does not name."""
    named = {name for entry in entries for name in (entry.values() if isinstance(entry, dict) else [entry])}
    folders = {name.rpartition("/")[0] for name in named if name.endswith("index.md")}
    entries += sorted(page for page in pages - named if page.rpartition("/")[0] in folders)


def on_files(files: Any, config: Any) -> Any:
    """Add the pages of the reference, which are made from the docstrings and not kept."""
    for name in reference.PAGES:
        files.append(File.generated(config, name, content=reference.page(name)))
    return files


def on_page_markdown(markdown: str, **kwargs: Any) -> str:
    """Leave out the comments that only the tests read."""
    return re.sub(r"^<!-- test: .*? -->\n", "", markdown, flags=re.M)
