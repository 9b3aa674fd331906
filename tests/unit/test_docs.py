"""The documents for contributors name what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.unit.test_readme import find_anchors

TOP = Path(__file__).parents[2]
PAGES = ("CONTRIBUTING.md", *(f"docs/{page.name}" for page in sorted((TOP / "docs").glob("*.md"))))
MODULES = {
    path.relative_to(TOP / "reconciler").as_posix()
    for pattern in ("*", "*/*", "*/*/*")
    for path in (TOP / "reconciler").glob(pattern)
}


def resolves(name: str, page: Path) -> bool:
    """Whether a link or a path in backticks leads to a file or folder of the repository."""
    file = name.partition("#")[0]
    return (page.parent / file).exists() or (TOP / file).exists() or file.rstrip("/") in MODULES


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file(page: str) -> None:
    """Relative links only; the anchor is not looked at."""
    path = TOP / page
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not resolves(link, path)] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_named_path_exists(page: str) -> None:
    """Paths in backticks, such as `core/planner.py` or `io/git/`, so that a map is never out of date."""
    path = TOP / page
    named = re.findall(r"`([a-z_]+(?:/[a-z_.]+)*(?:\.py|/))`", path.read_text(encoding="utf-8"))
    bare = {name for name in named if "/" not in name}  # `schema.py` beside `manifests/nodes.py`
    assert [name for name in named if name not in bare and not resolves(name, path)] == []
    assert [name for name in bare if not any(module.endswith(name) for module in MODULES)] == []


def test_the_architecture_names_every_room() -> None:
    """A new folder needs a row in the table."""
    rooms = {path.name for path in (TOP / "reconciler").iterdir() if (path / "__init__.py").exists()}
    text = (TOP / "docs/architecture.md").read_text(encoding="utf-8")
    assert {name for name in rooms if f"| `{name}/`" not in text} == set()


def test_the_glossary_is_sorted_and_explains_each_term_once() -> None:
    """The table of docs/glossary.md."""
    rows = (TOP / "docs/glossary.md").read_text(encoding="utf-8").splitlines()
    terms = [row.split("|")[1].strip() for row in rows if row.startswith("| ")][2:]
    assert len(terms) >= 30
    assert terms == sorted(set(terms), key=str.casefold)


def find_citations(text: str) -> list[str]:
    """The sections that a docstring or comment names, such as docs/contract.md#outcomes."""
    return re.findall(r"\bdocs/[\w-]+\.md(?:#[\w-]+)?", text)


def test_every_cited_section_exists() -> None:
    """In code and tests: no citation leads out of the repository, or to a heading that was renamed."""
    files = [*(TOP / "reconciler").rglob("*.py"), *(TOP / "tests").rglob("*.py"), TOP / "CONTRIBUTING.md"]
    cited = {one: file for file in files for one in find_citations(file.read_text(encoding="utf-8"))}
    missing = []
    for citation, file in cited.items():
        name, _, anchor = citation.partition("#")
        page = TOP / name
        if not page.exists() or (anchor and anchor not in find_anchors(page.read_text(encoding="utf-8"))):
            missing.append(f"{file.relative_to(TOP)}: {citation}")
    assert missing == []
    assert len(cited) > 20
