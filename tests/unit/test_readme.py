"""The Portuguese README is the equal of the English one, both are short, and the pages name what exists."""

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


def find_blocks(text: str) -> list[str]:
    """The code blocks; of a diagram only its arrows, and no comment: these are in the page's own language.

    So is what `init --language` writes.
    """
    found = []
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        shown = re.sub(r'"[^"\n]*"', '""', code) if language == "mermaid" else re.sub(r"\s+# .*$", "", code, flags=re.M)
        found.append(f"{language}\n{shown.replace(' --language pt-BR', '')}")
    return found


def find_links(text: str) -> list[str]:
    """The links to other pages, in their order, without those between the two READMEs."""
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
    assert [name for name in COMMANDS if f"`{name}" not in contract] == []
    names = [flag.path.removeprefix("policy.") for flag in SETTING_FLAGS]
    assert [name for name in names if f"`{name}`" not in settings] == []


def test_links_within_the_readmes_lead_somewhere() -> None:
    """Each anchor is a heading of the same page."""
    for text in (ENGLISH, PORTUGUESE):
        assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= find_anchors(text)


def find_anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of the headings."""
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
