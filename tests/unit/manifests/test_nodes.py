"""A file as plain values, at the edges of what is walked."""

from __future__ import annotations

import pytest

from reconciler.manifests.nodes import File, parse_file


def test_a_path_without_a_position_has_the_start_of_the_file() -> None:
    """And what an alias repeats where the nearest value around it stands: no fault is without a place."""
    file = parse_file("a.yaml", b"# a comment\nvars: &v {a: x}\nwebhooks: *v\n")
    assert isinstance(file, File)
    assert file.position(("vars", "a")) == (2, 14)
    assert file.position(("webhooks", "b")) == (2, 7)
    assert file.position(("api", "base_url")) == (2, 1)


@pytest.mark.parametrize(("deep", "read"), [(319, True), (320, False)])
def test_the_deepest_nesting_that_is_walked_does_not_crash(deep: int, read: bool) -> None:
    """Braces stand in most URLs, so that a few hundred are not yet looked at twice."""
    found = parse_file("a.yaml", b"a: " + b"{a: " * (deep + 1) + b"1" + b"}" * (deep + 1))
    assert isinstance(found, File) == read
    if not isinstance(found, File):
        assert [one.message for one in found] == ["is nested too deeply"]
