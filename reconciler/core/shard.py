"""Shards: the parts of a fleet that several jobs apply. A name alone decides its shard.

A name belongs to shard `I` of `N` if the first eight bytes of its SHA-256, as a big-endian number, modulo `N` are
`I - 1`. So its shard is the same on every machine and in every version, and does not depend on other environments.
"""

from __future__ import annotations

import hashlib
import re

from reconciler.model import Shard

_SHARD = re.compile(r"([1-9][0-9]{0,4})/([1-9][0-9]{0,4})", re.ASCII)


def parse_shard(text: str) -> Shard:
    """Return the shard in a text such as `2/4`. Raises ValueError, whose text says what would be right."""
    match = _SHARD.fullmatch(text)
    if match is None or int(match[1]) > int(match[2]):
        raise ValueError("write I/N, as in 2/4: shard I of N, from 1/N to N/N")
    return Shard(int(match[1]), int(match[2]))


def find_shard(environment: str, of: int) -> Shard:
    """Return the shard of an environment, or of an orphan, among `of` shards."""
    digest = hashlib.sha256(environment.encode("utf-8", "surrogateescape")).digest()
    return Shard(int.from_bytes(digest[:8], "big") % of + 1, of)


def holds(shard: Shard, environment: str) -> bool:
    """Return whether the environment belongs to this shard."""
    return find_shard(environment, shard.of) == shard
