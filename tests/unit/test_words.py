"""Messages and help are plain English: phrases of the former dialect stay out of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import reconciler

ROOT = Path(reconciler.__file__).parent
DIALECT = re.compile(
    r"\b(?:(?:is|are) none of|is no (?:list|name|number|object|state|string|text|time|unicode|valid|whole)|at hand|"
    r"told|tells of|stands (?:in|there|twice)|holds what it held|the desired (?:again|once more)|once more|whoever|"
    r"for people of no use|mend|mends|journeys?|gives its place away)\b",
    re.IGNORECASE,
)
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def find_docstring(node: ast.AST) -> ast.Constant | None:
    if not isinstance(node, _DOCUMENTED) or not node.body or not isinstance(node.body[0], ast.Expr):
        return None
    value = node.body[0].value
    return value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def is_command(node: ast.AST) -> bool:
    """Return whether a function's docstring is the help of a command."""
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef) else []
    return any(re.search(r"\b(?:command|group)\(", ast.unparse(one)) for one in decorators)


def find_shown(source: str) -> Iterator[str]:
    """Yield the texts of a module that may be shown: its literals, without the docstrings that are not help."""
    nodes = [*ast.walk(ast.parse(source))]
    hidden = {id(found) for node in nodes if not is_command(node) and (found := find_docstring(node)) is not None}
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in hidden:
            yield " ".join(node.value.split())


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f():\n    'It stands in the file.'", []),
        ("@group.command('x')\ndef f():\n    'It stands\\n    in the file.'", ["stands in"]),
        ("say(f'{x}: mend ' 'it')", ["mend"]),
        ("say('a stand-in, which amends; there is none yet, and is no longer')", []),
    ],
)
def test_the_search_finds_messages_and_help(source: str, found: list[str]) -> None:
    assert [match[0] for text in find_shown(source) for match in DIALECT.finditer(text)] == found


def test_no_message_and_no_help_is_in_the_former_dialect() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {match[0]!r} in {text[:80]!r}"
        for path in sorted(ROOT.rglob("*.py"))
        for text in find_shown(path.read_text(encoding="utf-8"))
        if (match := DIALECT.search(text))
    ]
    assert found == []


def test_no_document_is_in_the_former_dialect() -> None:
    """The pages, what `init` writes, and the workflows. The Portuguese README is not English."""
    top = ROOT.parent
    pages = [*top.glob("*.md"), *(top / "docs").glob("*.md"), *(ROOT / "starter/tree").rglob("*.md")]
    pages += [*(top / ".github").rglob("*.yml"), *(top / ".github").rglob("*.md")]
    found = [
        f"{page.relative_to(top)}:{number}: {match[0]!r}"
        for page in pages
        if "pt-BR" not in page.name
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        for match in DIALECT.finditer(line)
    ]
    assert found == []
    assert len(pages) > 20
