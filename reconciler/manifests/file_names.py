"""The meaning of a file's name in the tree, and names that are nearly such a name (docs/manifests.md)."""

from __future__ import annotations

import re

from reconciler.core.slips import is_one_letter_off
from reconciler.model import Fault

DEFAULTS = "_defaults.yaml"
WRONG_DEFAULTS = "_defaults.yml"
SUFFIXES = (".yaml", ".yml")

_TRAILING = re.compile(r"[.\s]+\Z")
_STEM = "_defaults"
_ENDINGS = ("yaml", "yml", "json")
# `.yaml` or `.yml` without one letter, except endings of other kinds of files, such as OCaml's .ml
_LOST_A_LETTER = (".yam", ".yal", ".aml", ".ym", ".yl")
_NAMED_LIKE_DATA = re.compile(r"\.(?:yaml|yml|json)", re.IGNORECASE)


def is_hidden(name: str) -> bool:
    """Return whether the author marked a file or folder as one that holds no environment, with a first . or _."""
    return name[0] in "._" and name != DEFAULTS


def find_near_miss(name: str) -> Fault | None:
    """Return what is wrong with a file's name that is nearly `_defaults.yaml` or a manifest's name."""
    if name == DEFAULTS:
        return None
    written = _TRAILING.sub("", name)
    if name == WRONG_DEFAULTS:
        return Fault(f"defaults are read from {DEFAULTS} only", f"rename it to {DEFAULTS}")
    if is_nearly_defaults(name):
        message = f"is not read: its name is nearly {DEFAULTS}"
        return Fault(message, f"did you mean {DEFAULTS}? Rename it")
    if is_hidden(name) or name.endswith(SUFFIXES):
        return None
    stem, dot, ending = written.rpartition(".")
    for suffix in SUFFIXES:
        if dot + ending.casefold() in _slips_of(suffix):
            message = "is not read: its name is nearly that of a manifest"
            return Fault(message, f"did you mean {stem}{suffix}? Rename it")
    return None


def is_nearly_defaults(name: str) -> bool:
    """Return whether a name is nearly `_defaults.yaml`: one letter off, or with another ending of a data file."""
    written = _TRAILING.sub("", name).casefold()
    if name == DEFAULTS:
        return False
    if any(is_one_letter_off(written, known) for known in (DEFAULTS, WRONG_DEFAULTS)):
        return True
    stem, *endings = written[1:].split(".")
    return is_one_letter_off(written[:1] + stem, _STEM) and all(
        any(is_one_letter_off(ending, known) for known in _ENDINGS) for ending in endings
    )


def is_lookalike(name: str) -> bool:
    """Return whether a file looks like a manifest or defaults but has another ending: a backup, another format."""
    folded = name.casefold()
    if name.endswith(SUFFIXES):
        return False
    if name[0] == "_":
        return is_one_letter_off(folded.partition(".")[0], _STEM)
    if name[0] == ".":
        return False
    return folded.endswith(_LOST_A_LETTER) or _NAMED_LIKE_DATA.search(name) is not None


def _slips_of(suffix: str) -> frozenset[str]:
    """Return the suffix, and its letters with two swapped or one doubled."""
    letters = suffix[1:]
    pairs = range(len(letters) - 1)
    swapped = {letters[:at] + letters[at + 1] + letters[at] + letters[at + 2 :] for at in pairs}
    doubled = {letters[:at] + letters[at] + letters[at:] for at in range(len(letters))}
    return frozenset("." + one for one in {letters, *swapped, *doubled})
