"""Checks for repeated keys in JSON objects: most programs use the last one, but a person may have read the first."""

from __future__ import annotations

import json
from typing import Any


class RepeatedKey(ValueError):
    """A JSON object has a key more than once."""


def take_unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs as a dict, as an `object_pairs_hook`. Raises RepeatedKey."""
    value = dict(pairs)
    if len(value) != len(pairs):
        raise RepeatedKey
    return value


def has_repeated_key(data: bytes) -> bool:
    """Return whether an object in `data`, which is valid JSON in UTF-8, has a key more than once."""
    try:
        # integers are not used here, and Python refuses those of very many digits
        json.loads(data.decode(), parse_int=lambda digits: 0, object_pairs_hook=take_unique)
    except RepeatedKey:
        return True
    return False
