"""The walk of a file's nodes at its limits."""

from __future__ import annotations

import pytest

from reconciler.manifests.nodes import File, parse_file


def test_a_path_without_a_position_has_the_start_of_the_file() -> None:
    """What an alias repeats has the position of the nearest value around it, so every fault has a place."""
    file = parse_file("a.yaml", b"# a comment\nvars: &v {a: x}\nwebhooks: *v\n")
    assert isinstance(file, File)
    assert file.position(("vars", "a")) == (2, 14)
    assert file.position(("webhooks", "b")) == (2, 7)
    assert file.position(("api", "base_url")) == (2, 1)


@pytest.mark.parametrize(("deep", "read"), [(319, True), (320, False)])
def test_the_deepest_nesting_that_is_walked_does_not_crash(deep: int, read: bool) -> None:
    """Most URLs hold braces, so a few hundred don't cause a second read."""
    found = parse_file("a.yaml", b"a: " + b"{a: " * (deep + 1) + b"1" + b"}" * (deep + 1))
    assert isinstance(found, File) == read
    if not isinstance(found, File):
        assert [one.message for one in found] == ["is nested too deeply"]


@pytest.mark.parametrize(
    ("written", "place", "what"),
    [
        ("# ok\u2028organization_id: other\n", (1, 5), "(U+2028) that ends a line for YAML alone"),
        ("wave: 1\n# was\u2029wave: 2\n", (2, 6), "(U+2029) that ends a line for YAML alone"),
        ("# São Paulo\x85wave: 2\n", (1, 12), "(U+0085) that ends a line for YAML alone"),
        ("# ok\rwave: 2\n", (1, 5), "(U+000D) that ends a line for YAML alone"),
        ("# ok \u202ewave: 2\n", (1, 6), "(U+202E) that reverses the text"),
        ("# ok \u2066wave: 2\n", (1, 6), "(U+2066) that reverses the text"),
    ],
)
def test_what_a_reviewer_would_see_otherwise_is_refused(written: str, place: tuple[int, int], what: str) -> None:
    """A comment for git and for an editor would be a key for YAML, or be shown in another order."""
    found = parse_file("a.yaml", written.encode())
    assert isinstance(found, list)
    assert [(one.line, one.column) for one in found] == [place]
    assert what in found[0].message


@pytest.mark.parametrize("written", ["# São Paulo\r\nwave: 1\r\n", "description: ação \U0001f600 \u200d\n"])
def test_other_letters_and_line_ends_of_windows_are_read(written: str) -> None:
    assert isinstance(parse_file("a.yaml", written.encode()), File)
