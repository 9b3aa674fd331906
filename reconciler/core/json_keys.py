"""Repeated keys of JSON objects: most readers take the last one, and a person may have read the first."""

from __future__ import annotations

import json
from typing import Any


class RepeatedKey(ValueError):
    """A key appears more than once in an object."""


def take_unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as a dict, as an `object_pairs_hook`. Raises RepeatedKey."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise RepeatedKey
    return value


def has_repeated_key(data: bytes) -> bool:
    """Whether an object in `data`, which is valid JSON in UTF-8, has a key more than once."""
    try:
        # numbers are not needed, and Python refuses those of very many digits
        json.loads(data.decode(), parse_int=lambda digits: 0, object_pairs_hook=take_unique)
    except RepeatedKey:
        return True
    return False
