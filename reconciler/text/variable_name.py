"""The name of an environment in the name of its token's variable (docs/manifests.md)."""

from __future__ import annotations

import re

_NOT_IN_VARIABLE = re.compile("[^A-Z0-9]")


def name_in_variable(environment: str) -> str:
    """Return the name in upper case, with `_` for each character that is neither a letter nor a digit."""
    return _NOT_IN_VARIABLE.sub("_", environment.upper())
