"""The hosts of a fleet, and which of them need no names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from reconciler.core.host_uses import list_host_uses


def usual(hosts_of: Mapping[str, Sequence[str]]) -> dict[str, bool]:
    return {use.host: use.is_usual for use in list_host_uses(hosts_of.items())}


@pytest.mark.parametrize(
    ("hosts_of", "expected"),
    [
        ({"a": ["x"], "b": ["x"]}, {"x": True}),
        ({"a": ["x", "y"], "b": ["x", "y"]}, {"x": True, "y": True}),
        ({"a": ["x"], "b": ["x"], "c": ["y"]}, {"x": True, "y": False}),
        ({"a": ["x"], "b": ["x"], "c": ["y"], "d": ["z"]}, {"x": False, "y": False, "z": False}),
        ({"a": ["x", "y"], "b": ["x", "y"], "c": ["z"]}, {"x": False, "y": False, "z": False}),
        ({"a": ["x", "y"], "b": ["x", "y"], "c": ["x"]}, {"x": True, "y": False}),
    ],
    ids=["of all", "two of all", "of more than half", "of half", "two equally frequent", "second to one of all"],
)
def test_the_host_of_all_or_most_environments_is_usual(
    hosts_of: dict[str, list[str]], expected: dict[str, bool]
) -> None:
    assert usual(hosts_of) == expected


def test_the_environments_without_a_host_are_listed_if_they_are_fewer() -> None:
    """Half of them are not fewer."""
    uses = list_host_uses([("d", ["y"]), ("c", ["x", "y"]), ("b", ["x"]), ("a", ["x"])], frozenset({"y"}))
    assert [(use.host, use.is_new, use.environments, use.others) for use in uses] == [
        ("y", True, ("c", "d"), ()),
        ("x", False, ("a", "b", "c"), ("d",)),
    ]
