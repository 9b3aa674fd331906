"""Slips: a wrong letter in a name, and a secret in the syntax of another tool (docs/manifests.md)."""

from __future__ import annotations

import re

from reconciler.model import Fault

MAX_ENVIRONMENT = 63  # characters
_NOT_IN_ENVIRONMENT = re.compile(r"[^a-z0-9._]+")
MAX_SHOWN = 40  # characters of a template
# A name as other tools have it filled in: ${{ X }}, {{X}}, ${X}, {X}, $(X), $X, $env:X, <X>, %(X)s, %X%. Three braces
# are a literal one around a placeholder of this tool.
_FOREIGN = re.compile(
    r"\$?(?<!\{)\{\{(?P<double>[^{}]{1,99})\}\}(?!\})|\$?(?<!\{)\{(?P<single>[^{}]{1,99})\}|\$\((?P<call>[^(){}]{1,99})\)"
    r"|\$(?:env:)?(?P<bare>\w{1,99})|<(?P<angle>[^<>{}]{1,99})>|%\((?P<python>\w{1,99})\)s|%(?P<batch>\w{1,99})%",
    re.ASCII | re.IGNORECASE,
)
_WORD = re.compile(r"\w+", re.ASCII)
# the fault without the text: that may be a secret of an account, or of a shifted cell of a CSV
FOREIGN_SECRET = "names a secret or a token in the syntax of another tool"  # noqa: S105 - a message
_OF_SECRETS = re.compile(r"\s*secrets?\s*[.\[]\W{0,9}(\w*)", re.ASCII | re.IGNORECASE)
_OWN = "secret:"
TOKEN_HINT = "a token is in no URL: it is sent in a header. A receiver's own key is written as {secret:NAME}"  # noqa: S105
_SHORT_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,59}|[a-z_]{1,30}", re.ASCII)
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


def find_foreign_secret(text: str, secret_prefix: str, token_prefix: str) -> Fault | None:
    """Return the fault of a secret or token that is written as another tool has it filled in, such as `$PLUG_SECRET_A`.

    The text is a URL or a var. Nothing would be filled in: the receiver would get the name in place of the key.
    """
    prefixes = [prefix.upper() for prefix in (secret_prefix, token_prefix) if prefix]
    upper = text.upper()
    if not any(word in upper for word in ("SECRET", *prefixes)):
        return None
    for found in _FOREIGN.finditer(text):
        name = found[found.lastgroup or 0]
        if found.lastgroup == "single" and (
            name.startswith(_OWN) or (found[0][0] == "{" and _VARIABLE.fullmatch(name))
        ):
            continue  # a placeholder of this tool, checked as one
        hint = _hint_at_secret(name, secret_prefix, token_prefix)
        if hint is not None:
            shown = found[0] if len(found[0]) <= MAX_SHOWN else f"{found[0][:MAX_SHOWN]}…"
            return Fault(f"{shown} is not filled in: the receiver would get it as it is written", hint)
    return None


def _hint_at_secret(name: str, secret_prefix: str, token_prefix: str) -> str | None:
    """Return what to write in place of a name in the syntax of another tool; None if it names no secret or token."""
    of_secrets = _OF_SECRETS.match(name)
    for word in [of_secrets[1]] if of_secrets else _WORD.findall(name):
        if secret_prefix and word.upper().startswith(secret_prefix.upper()):
            rest = word[len(secret_prefix) :]
            return f"write {{secret:{secret_prefix}{rest.upper() if word.islower() else rest}}}"
        if token_prefix and word.upper().startswith(token_prefix.upper()):
            return TOKEN_HINT
    if of_secrets is None:
        return None
    # a text unlike a name may be the secret's value, which no hint repeats
    meant = of_secrets[1].upper() if _SHORT_NAME.fullmatch(of_secrets[1]) else "NAME"
    return f"write {{secret:{secret_prefix}{meant}}}, and give the secret this name"
