"""Names that work on every system: reserved by none, and different also where case does not count.

See docs/manifests.md.
"""

from __future__ import annotations

_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"}
)


def find_reserved_fault(name: str) -> str | None:
    """Return why Windows can't hold a file or folder of this name, as a predicate of the name."""
    if name.endswith((".", " ")):
        return f"ends in a {'dot' if name.endswith('.') else 'blank'}, which Windows drops"
    if name.partition(".")[0].rstrip(" ").casefold() in _DEVICES:
        return "is reserved by Windows for a device"
    return None


def comparable(name: str) -> str:
    """Return what two names have in common that a system may take for the same one."""
    if name.isascii():
        return name.lower()
    import unicodedata  # late: few names need it

    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
