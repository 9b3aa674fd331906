"""Slips in names: of a file, of an environment, and in the prefix of a variable's name (docs/manifests.md)."""

from __future__ import annotations

import re

MAX_ENVIRONMENT = 63  # characters
_NOT_IN_ENVIRONMENT = re.compile(r"[^a-z0-9._]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}", re.ASCII)


def is_one_letter_off(name: str, known: str) -> bool:
    """Return whether the names are equal, or differ in one letter or two swapped ones."""
    if abs(len(name) - len(known)) > 1 or name.endswith("~"):  # an editor's backup is not a typing error
        return False
    start = 0
    while start < min(len(name), len(known)) and name[start] == known[start]:
        start += 1
    rest, other = name[start:], known[start:]
    if len(rest) == len(other):
        swapped = other[1::-1] + other[2:] if len(other) > 1 else other
        return rest[1:] == other[1:] or rest == swapped
    longer, shorter = (rest, other) if len(rest) > len(other) else (other, rest)
    return longer[1:] == shorter


def find_meant_variable(name: str, prefix: str) -> str | None:
    """Return the name with the correct prefix; None if its beginning is not close to the prefix, or it is not a name.

    A name in lower case is meant in capitals. Any other text may be a value that was pasted in place of a name.
    """
    if not prefix or not _VARIABLE.fullmatch(name):
        return None
    written = name.upper() if name.islower() else name
    found: list[tuple[bool, bool, str]] = []
    for size in (len(prefix), len(prefix) + 1, len(prefix) - 1):
        head, rest = written[:size], written[size:]
        meant = prefix + rest
        if head and rest and meant != name and is_one_letter_off(head.upper(), prefix.upper()):
            joined = not prefix.endswith("_") and not rest.startswith("_")
            found.append((head[-1] != prefix[-1], joined, meant))
    return min(found, key=lambda one: one[:2])[2] if found else None


def make_environment_name(text: str) -> str | None:
    """Return a valid environment's name that is near to the text, such as `clinica-sao-jose` for `Clínica São José`.

    None if nothing of the text is left, or if it is much longer than a name.
    """
    if len(text) > 2 * MAX_ENVIRONMENT:
        return None
    import unicodedata  # late: few names need it

    plain = "".join(char for char in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(char))
    return _NOT_IN_ENVIRONMENT.sub("-", plain).lstrip("-._")[:MAX_ENVIRONMENT].rstrip("-._") or None
