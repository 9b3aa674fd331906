"""Shards: a fleet split over several jobs by the names alone, so that no job has to know of the others.

A name belongs to shard `I` of `N` where the first eight bytes of its SHA-256, as a big-endian number, leave `I - 1`
when divided by `N`. It is the same on every machine and in every version, and no other environment has a say in it.
"""

from __future__ import annotations

import hashlib
import re

from reconciler.model import Shard

_SHARD = re.compile(r"([1-9][0-9]{0,4})/([1-9][0-9]{0,4})", re.ASCII)


def parse_shard(text: str) -> Shard:
    """`2/4`. Raises ValueError saying what would be right."""
    match = _SHARD.fullmatch(text)
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError("write I/N, as in 2/4: shard I of N, from 1/N to N/N")
    return Shard(int(match[1]), int(match[2]))


def find_shard(environment: str, of: int) -> Shard:
    """Return which of so many shards the environment is of; orphans too are of one, by their name."""
    digest = hashlib.sha256(environment.encode("utf-8", "surrogateescape")).digest()
    return Shard(int.from_bytes(digest[:8], "big") % of + 1, of)


def holds(shard: Shard, environment: str) -> bool:
    """Whether the environment is of this shard."""
    return find_shard(environment, shard.of) == shard
