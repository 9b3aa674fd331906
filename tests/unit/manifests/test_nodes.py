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
