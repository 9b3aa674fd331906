"""The quoted line of a problem: its marked part, its length, and what is masked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.manifests.load import load_tree
from reconciler.manifests.merged import TreeOptions
from reconciler.manifests.nodes import Lines
from reconciler.manifests.quoting import MAX_TEXT, Quoting, SourceLines
from reconciler.model import AuthScheme, Problem, Quote

TOKEN, SECRET = "Canary0Token1Value", "Canary0Secret1Value"
JWT = "eyJhbGciOiJub25lIn0.eyJvcmdhbml6YXRpb25JZCI6MX0.c2ln"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def quote(text: str, line: int, column: int) -> Problem:
    Path("a.yaml").write_text(text, newline="")
    return Quoting(SourceLines(), (TOKEN, SECRET)).quote(Problem("a.yaml", line, column, "k", "is wrong"))


def part(problem: Problem) -> tuple[str, int]:
    assert problem.quote is not None
    return problem.quote.text[problem.quote.start : problem.quote.end], problem.end_column


@pytest.mark.parametrize(
    ("line", "column", "marked", "end"),
    [
        ("wave: x y # no", 7, "x y", 10),
        ("wave: x", 1, "wave", 5),
        ("a: {b: 'x y', c: z}", 8, "'x y'", 13),
        ("a: {b: 'x y', c: z}", 18, "z", 19),
        ("a: [x, y]", 5, "x", 6),
        ('a: "x\\" y"  # z', 4, '"x\\" y"', 11),
        ("a: >-", 4, ">-", 6),
        ("a: @x y", 4, "@x", 6),
        ("a: \u201chttps://x\u201d", 4, "\u201chttps://x\u201d", 15),
        ("# x token y", 5, "token", 10),
    ],
)
def test_the_marked_part_is_the_key_or_the_value(line: str, column: int, marked: str, end: int) -> None:
    """The part is what YAML reads there, else the word."""
    assert part(quote(f"x: 1\n{line}\n", 2, column)) == (marked, end)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_end_where_git_ends_them(end: str) -> None:
    """With other line ends, the wrong line would be quoted."""
    assert quote(f"a: 1{end}b: x{end}", 2, 4).quote == Quote("b: x", 3, 4)
    lines = Lines(f"a{end}b")
    assert [lines.locate(0), lines.locate(len(end) + 1)] == [(1, 1), (2, 1)]
    assert lines.line(3) is None


@pytest.mark.parametrize("before", [0, 30, 150, 1_000])
def test_a_long_line_is_cut_around_its_part(before: int) -> None:
    """Both ends show that it was cut."""
    found = quote("x" * before + " 'wrong one' " + "y" * 500, 1, before + 2)
    assert found.quote is not None
    assert len(found.quote.text) == MAX_TEXT
    assert part(found)[0] == ("'wrong" if before else "'wrong one'")
    assert found.quote.text.startswith("…") == (before > 60)
    assert found.quote.text.endswith("…")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (f"a: https://x/{TOKEN}?k={SECRET}&x", "a: https://x/***?k=***&x"),
        (f"a: https://x/{JWT}", "a: https://x/***"),
        ("a: https://me:pass@x/", "a: https://***@x/"),
        ("a: https://me:pa@ss@x/", "a: https://***@x/"),
        ("a: {token: unknown-value, b: 1}", "a: {token: ***"),
        ('{"a": 1, "authorization": "Bearer x"}', '{"a": 1, "authorization": ***'),
        ('{"token":98765432, "wave": 1}', '{"token":***'),
        ("# password: unknown-value", "# password: ***"),
        ("token_env: PLUG_TOKEN_X", "token_env: PLUG_TOKEN_X"),
        ("a: https://x/{name}?k={secret:PLUG_SECERT_X} ", "a: https://x/{name}?k={secret:PLUG_SECERT_X} "),
        ("{secret: unknown-value}", "{secret: ***"),
    ],
)
def test_a_token_or_a_secret_is_masked(line: str, shown: str) -> None:
    """The value of a key such as `token` is masked even if it is unknown."""
    found = quote(line, 1, 1)
    assert found.quote is not None
    assert found.quote.text == shown


def test_lines_below_a_key_such_as_token_are_masked() -> None:
    """The value may continue on them."""
    found = quote("vars:\n  password: >\n    unknown\n\n    value: x\n  a: b\n", 5, 5)
    assert found.quote is not None
    assert found.quote.text == "    ***"
    after = quote("vars:\n  password: >\n    unknown\n  a: b\n", 4, 3)
    assert after.quote is not None
    assert after.quote.text == "  a: b"


def test_the_mark_is_behind_what_is_masked_before_it() -> None:
    """Columns are positions in the file, the mark is one in the shown text."""
    found = quote(f"a: [{TOKEN}, wrong]", 1, len(TOKEN) + 7)
    assert (found.column, part(found)) == (len(TOKEN) + 7, ("wrong", len(TOKEN) + 12))


@pytest.mark.parametrize(("line", "column"), [(9, 1), (1, 0), (2, 1)])
def test_a_line_that_is_not_there_is_not_quoted(line: int, column: int) -> None:
    """The file may have been edited."""
    assert quote("a: 1\n\n", line, column).quote is None


def test_a_file_that_was_removed_is_not_quoted() -> None:
    assert Quoting(SourceLines(), ()).quote(Problem("gone.yaml", 1, 1, "k", "is wrong")).quote is None


@pytest.mark.posix
def test_a_tree_quotes_the_lines_of_its_problems() -> None:
    """No line is quoted if the file's name is wrong, or if a token is written with escapes."""
    Path("manifests").mkdir()
    Path("manifests/a.YML").write_text("a: 1")
    Path("manifests/B_.yaml").write_text("wave: x\n")
    Path("manifests/c.yaml").write_text('description: "Can\\u0061ry0Token1Value"\nwave: y\n')
    os.mkfifo("manifests/d.yaml")
    options = TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, (), known_tokens=(TOKEN,))
    quotes = {(one.file, one.key): one.quote and one.quote.text for one in load_tree("manifests", options).errors}
    assert quotes["manifests/B_.yaml", "wave"] == "wave: x"
    assert {text for place, text in quotes.items() if place != ("manifests/B_.yaml", "wave")} == {"wave: x", None}
