"""Durations as users write them (docs/settings.md)."""

from __future__ import annotations

import math
import re

_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_FORM = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)([smhd]?)", re.ASCII)
HOW = "write a number of seconds, or 90s, 15m, 12h, 7d"


def parse_duration(value: object) -> float:
    """Return a duration in seconds. Raises ValueError, which says how to write one."""
    if isinstance(value, str):
        match = _FORM.fullmatch(value.strip())
        if match is None:
            raise ValueError(HOW)
        return float(match[1]) * _UNITS_S[match[2]]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(HOW)
    return float(value)
