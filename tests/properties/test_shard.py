"""Shards are disjoint and complete for any names, and the shard of a name depends on nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.selection import select
from reconciler.core.shard import holds, parse_shard
from reconciler.errors import InputError
from reconciler.model import Shard

NAMES = st.frozensets(st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True), max_size=60)


@given(names=NAMES, of=st.integers(1, 50))
def test_every_environment_is_in_exactly_one_shard(names: frozenset[str], of: int) -> None:
    """Together the jobs do everything, and no two do the same."""
    parts = [select((), names, Shard(number, of)) for number in range(1, of + 1)]
    assert sum(len(part) for part in parts) == len(names)
    assert frozenset().union(*parts) == names


@given(names=NAMES, others=NAMES, of=st.integers(1, 50), number=st.integers(1, 50))
def test_other_environments_change_no_shard(
    names: frozenset[str], others: frozenset[str], of: int, number: int
) -> None:
    """A new company moves no other company to another job."""
    shard = Shard(min(number, of), of)
    assert select((), names, shard) == select((), names | others, shard) & names


@given(names=NAMES, of=st.integers(1, 9), number=st.integers(1, 9), first=st.sampled_from("abc0"))
def test_a_shard_narrows_what_the_globs_select(names: frozenset[str], of: int, number: int, first: str) -> None:
    """A glob is matched against all names: one that matches only names of other shards isn't an error."""
    shard, glob = Shard(min(number, of), of), f"{first}*"
    matched = frozenset(name for name in names if name.startswith(first))
    if not matched:
        with pytest.raises(InputError):
            select([glob], names, shard)
    else:
        assert select([glob], names, shard) == frozenset(name for name in matched if holds(shard, name))


def test_the_hash_is_the_documented_one() -> None:
    """It is the first eight bytes of SHA-256 as a big-endian number, modulo N, in every version."""
    for name in ("production", "staging", "cliente-0001"):
        expected = int(hashlib.sha256(name.encode()).hexdigest()[:16], 16) % 7 + 1
        assert [number for number in range(1, 8) if holds(Shard(number, 7), name)] == [expected]
    # These are fixed, so that a change of the hash is noticed: it would move environments between jobs.
    assert [number for number in range(1, 5) if holds(Shard(number, 4), "production")] == [2]


def test_shards_of_a_fleet_are_about_equal() -> None:
    """Ten thousand environments in eight jobs: none has over a tenth more than its share."""
    names = [f"cliente-{number:05}" for number in range(10_000)]
    sizes = [sum(holds(Shard(number, 8), name) for name in names) for number in range(1, 9)]
    assert all(1_125 <= size <= 1_375 for size in sizes)


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "/", "1/", "/2", "0/2", "3/2", "-1/2", "1/0", "1/2/3"),
        *(" 1/2", "1/2 ", "1 / 2", "01/2", "1/x", "٣/٤", "1/999999"),
    ],
)
def test_an_invalid_shard_is_refused(text: str) -> None:
    """The message has the right form."""
    with pytest.raises(ValueError, match="write I/N"):
        parse_shard(text)


def test_a_shard_is_rendered_as_it_is_parsed() -> None:
    """Plans and summaries show it in this form."""
    assert str(parse_shard("2/16")) == "2/16"
