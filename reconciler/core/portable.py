"""Names of environments, and names that work on every operating system: not reserved, distinct even without case.

See docs/manifests.md.
"""

from __future__ import annotations

import re

ENVIRONMENT_NAME = r"[a-z0-9][a-z0-9._-]{0,62}"

_ENVIRONMENT = re.compile(ENVIRONMENT_NAME)
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"}
)


def is_environment_name(name: str) -> bool:
    """Return whether a text is a valid name of an environment."""
    return _ENVIRONMENT.fullmatch(name) is not None


def find_reserved_fault(name: str) -> str | None:
    """Return why Windows can't have a file or folder of this name, as the end of a sentence about the name."""
    if name.endswith((".", " ")):
        return f"ends in a {'dot' if name.endswith('.') else 'blank'}, which Windows drops"
    if name.partition(".")[0].rstrip(" ").casefold() in _DEVICES:
        return "is reserved by Windows for a device"
    return None


def make_comparison_key(name: str) -> str:
    """Return a key that is equal for two names that some operating system takes for the same one."""
    if name.isascii():
        return name.lower()
    import unicodedata  # late: few names need it

    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
