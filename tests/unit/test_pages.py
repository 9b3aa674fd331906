"""The Portuguese README matches the English one, all pages are short, and they name what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reconciler.cli.main import COMMANDS
from reconciler.settings.flags import SETTING_FLAGS

TOP = Path(__file__).parents[2]
ENGLISH = (TOP / "README.md").read_text(encoding="utf-8")
PORTUGUESE = (TOP / "README.pt-BR.md").read_text(encoding="utf-8")
MAX_README_LINES = 200
MAX_PAGE_LINES = 300
PAGES = sorted((TOP / "docs").glob("*.md"))
DOCUMENTS = ("CONTRIBUTING.md", *(f"docs/{page.name}" for page in PAGES))
MODULES = {
    path.relative_to(TOP / "reconciler").as_posix()
    for pattern in ("*", "*/*", "*/*/*")
    for path in (TOP / "reconciler").glob(pattern)
}


def find_blocks(text: str) -> list[str]:
    """Return the code blocks without what is in the page's own language.

    That is the texts of a diagram, comments, and the language that `init` is called with.
    """
    found = []
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        shown = re.sub(r'"[^"\n]*"', '""', code) if language == "mermaid" else re.sub(r"\s+# .*$", "", code, flags=re.M)
        found.append(f"{language}\n{shown.replace(' --language pt-BR', '')}")
    return found


def find_links(text: str) -> list[str]:
    """Return the links to other pages, in their order, without those between the two READMEs."""
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text)
    return [link for link in links if not link.startswith("README")]


def test_both_readmes_have_the_same_code() -> None:
    assert find_blocks(PORTUGUESE) == find_blocks(ENGLISH) != []


def test_both_readmes_have_the_same_structure_and_links() -> None:
    def levels(text: str) -> list[str]:
        return re.findall(r"^(#+) ", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.MULTILINE)

    assert levels(PORTUGUESE) == levels(ENGLISH)
    assert find_links(PORTUGUESE) == find_links(ENGLISH)


def test_the_readmes_are_short() -> None:
    assert max(len(text.splitlines()) for text in (ENGLISH, PORTUGUESE)) <= MAX_README_LINES


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_short_and_the_readme_leads_to_it(page: Path) -> None:
    assert len(page.read_text(encoding="utf-8").splitlines()) <= MAX_PAGE_LINES
    assert f"](docs/{page.name})" in ENGLISH


def test_the_pages_name_every_command_and_setting() -> None:
    contract = (TOP / "docs/contract.md").read_text(encoding="utf-8")
    settings = (TOP / "docs/settings.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"`{name}" not in contract] == [], "add a row to docs/contract.md#commands"
    names = [flag.path.removeprefix("policy.") for flag in SETTING_FLAGS]
    assert [name for name in names if f"`{name}`" not in settings] == [], "add a row to docs/settings.md"


def test_links_within_the_readmes_lead_somewhere() -> None:
    """Each anchor is a heading of the same page."""
    for text in (ENGLISH, PORTUGUESE):
        assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= find_anchors(text)


def find_anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "page", [*PAGES, TOP / "README.md", TOP / "SECURITY.md", TOP / "CONTRIBUTING.md"], ids=lambda page: page.name
)
def test_an_anchor_in_another_page_is_a_heading_there(page: Path) -> None:
    for file, anchor in re.findall(r"\]\(([\w./-]+\.md)#([^)]+)\)", page.read_text(encoding="utf-8")):
        assert anchor in find_anchors((page.parent / file).read_text(encoding="utf-8")), f"{file}#{anchor}"


def test_each_test_that_the_security_page_names_exists() -> None:
    """A claim whose test was renamed or deleted must be looked at again."""
    page = (TOP / "SECURITY.md").read_text(encoding="utf-8")
    tests = "".join(path.read_text(encoding="utf-8") for path in (TOP / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 40
    assert [name for name in sorted(named) if f"def {name}(" not in tests] == []
    assert [path for path in re.findall(r"`(tests/[^`]+)`", page) if not (TOP / path).exists()] == []


# --- the documents for contributors ---------------------------------------------------------------


def resolves(name: str, page: Path) -> bool:
    """Return whether a link or a path in backticks leads to a file or folder of the repository."""
    file = name.partition("#")[0]
    return (page.parent / file).exists() or (TOP / file).exists() or file.rstrip("/") in MODULES


@pytest.mark.parametrize("page", DOCUMENTS)
def test_every_link_leads_to_a_file(page: str) -> None:
    """Only relative links are checked, without their anchors."""
    path = TOP / page
    links = re.findall(r"\]\((?!https?:|#)([^)]+)\)", path.read_text(encoding="utf-8"))
    assert [link for link in links if not resolves(link, path)] == []


@pytest.mark.parametrize("page", DOCUMENTS)
def test_every_named_path_exists(page: str) -> None:
    """Paths in backticks, such as `core/planner.py` or `io/git/`, so that a map is never out of date."""
    path = TOP / page
    named = re.findall(r"`([a-z_]+(?:/[a-z_.]+)*(?:\.py|/))`", path.read_text(encoding="utf-8"))
    bare = {name for name in named if "/" not in name}  # Such as `schema.py`, after `manifests/nodes.py`.
    assert [name for name in named if name not in bare and not resolves(name, path)] == []
    assert [name for name in bare if not any(module.endswith(name) for module in MODULES)] == []


def test_the_architecture_names_every_room() -> None:
    """A new folder needs a row in the table."""
    rooms = {path.name for path in (TOP / "reconciler").iterdir() if (path / "__init__.py").exists()}
    text = (TOP / "docs/architecture.md").read_text(encoding="utf-8")
    assert {name for name in rooms if f"| `{name}/`" not in text} == set(), (
        "add a row to docs/architecture.md#the-rooms"
    )


def test_the_glossary_is_sorted_and_explains_each_term_once() -> None:
    """This is the table of docs/glossary.md."""
    rows = (TOP / "docs/glossary.md").read_text(encoding="utf-8").splitlines()
    terms = [row.split("|")[1].strip() for row in rows if row.startswith("| ")][2:]
    assert len(terms) >= 30
    assert terms == sorted(set(terms), key=str.casefold)


def find_citations(text: str) -> list[str]:
    """Return the sections that a docstring or comment names, such as docs/contract.md#outcomes."""
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
