"""Tokens and secrets that are in a file (docs/manifests.md).

Tokens are looked for in the raw text, so they are found in comments and broken YAML too. Secrets are looked for in URLs
and vars, which every plan shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

from msgspec.structs import replace

from reconciler.core.jwt import ORGANIZATION_CLAIM, read_payload
from reconciler.core.spelling import MIN_SEARCHED
from reconciler.manifests.nodes import File, KeyPath, Lines, dotted
from reconciler.manifests.schema import is_token_key
from reconciler.model import Problem

# Header and payload of a JWT are JSON in base64url, which begins with eyJ; a host such as heyJude1.example.com is not
# a JWT. If both parts begin so, the JWT may follow a letter or digit directly, as in Bearer%20eyJ…. The pattern looks
# for its beginning once in each word and never backtracks, so that many beginnings don't take quadratic time.
_JWT = re.compile(
    r"(?<![A-Za-z0-9_-])(?:(?=[A-Za-z0-9_-]++\.eyJ[A-Za-z0-9_-])(?>[A-Za-z0-9_-]*?(?=eyJ[A-Za-z0-9_-]{5})))?+"
    r"(eyJ[A-Za-z0-9_-]{5,}+\.(?:eyJ[A-Za-z0-9_-]++|[A-Za-z0-9_-]{16,}+)(?:\.[A-Za-z0-9_-]*+)?)",
    re.ASCII,
)
JWT_BEGINNING = "eyJ"
MAX_IN_A_FILE = 100  # tokens; a file with as many is not a manifest, and no other problem of it is reported
MIN_INDEXED = 20  # for more tokens than this, an index of their pieces is searched first
JWT_MESSAGE = "holds a token (a JWT)"
TOKEN_HINT = "remove it, and take the token back: it is in the history of this file. Tokens come from token_env"  # noqa: S105 - a message
RECEIVERS_KEY = "holds a JWT that is not a token of Plug, but a receiver's own key"
RECEIVERS_HINT = (
    "write {secret:PLUG_SECRET_NAME} in its place, and let the receiver have a new key: "
    "this one is in the history of this file"
)
TOKEN_HINTS = frozenset({TOKEN_HINT, RECEIVERS_HINT})
SECRET_MESSAGE = "holds the value of a secret"  # noqa: S105 - a message
MAX_STRIDE = 32  # characters between the pieces of a text that are looked up; the index has as many pieces per token
_SHOWN_KEYS = (("webhooks",), ("vars",), ("api",))


def mask_jwts(text: str, mask: str) -> str:
    """Return the text with the mask in place of each JWT."""
    return _JWT.sub(lambda match: match[0].removesuffix(match[1]) + mask, text) if JWT_BEGINNING in text else text


class KnownTexts:
    """Finds which of many tokens are in a text, in one pass over it, even if they are many and similar."""

    def __init__(self, tokens: Iterable[str]) -> None:
        """Index the pieces at the first offsets of each token, as many as the stride.

        Wherever a token is in a text, one of its pieces is at a multiple of the stride.
        """
        self.tokens = frozenset(tokens)
        shortest = min(map(len, self.tokens), default=1)
        self._length = length = max(1, min(8, shortest - 3))
        self._stride = min(shortest - length + 1, MAX_STRIDE)
        self._pieces: set[str] = set()
        self._sizes: dict[str, set[int]] = {}  # first piece of a token -> the lengths of the tokens with it
        if len(self.tokens) > MIN_INDEXED:
            for token in self.tokens:
                self._pieces.update([token[at : at + length] for at in range(self._stride)])
                self._sizes.setdefault(token[:length], set()).add(len(token))

    def find_in(self, text: str) -> list[str]:
        """Return the tokens that are in the text, sorted, each once."""
        if not self._pieces:
            return sorted(token for token in self.tokens if token in text)
        length, stride = self._length, self._stride
        pieces = [text[at : at + length] for at in range(0, len(text), stride)]
        if self._pieces.isdisjoint(pieces):
            return []
        found: set[str] = set()
        for place, piece in enumerate(pieces):
            if piece in self._pieces:
                for start in range(max(0, (place - 1) * stride + 1), place * stride + 1):
                    sizes = self._sizes.get(text[start : start + length], ())
                    found |= self.tokens.intersection([text[start : start + size] for size in sizes])
        return sorted(found)


class TokenSearch:
    """A search for tokens and secrets, which knows the values of those that are available."""

    def __init__(self, tokens: Iterable[str], secrets: Iterable[str] = ()) -> None:
        known = tuple(tokens)
        self._secrets = KnownTexts(secret for secret in {*secrets}.difference(known) if len(secret) >= MIN_SEARCHED)
        self._have_blanks = any(secret.split() != [secret] for secret in self._secrets.tokens)
        self._jwts = [token for token in known if JWT_BEGINNING in token]
        self._opaque = KnownTexts(token for token in known if JWT_BEGINNING not in token)

    @cached_property
    def _known_jwts(self) -> KnownTexts:
        """Return the index of known JWTs. It is made late, because texts rarely hold the beginning of a JWT."""
        return KnownTexts(self._jwts)

    def scan(self, name: str, text: str) -> tuple[list[Problem], list[str]]:
        """Return the problems of one file's text, and the texts that no other problem may repeat."""
        problems: list[Problem] = []
        found: list[str] = []
        if not self._opaque.tokens and JWT_BEGINNING not in text:
            return problems, found
        matches = sorted(self._find(text))
        lines = Lines(text if matches else "")
        for offset, value, what in matches:
            if any(value in other for other in found):
                continue
            found.append(value)
            problems.append(Problem(name, *lines.locate(offset), "", what, TOKEN_HINT))
            if len(found) == MAX_IN_A_FILE:
                break
        return problems, found

    def name_keys(self, problems: Sequence[Problem], found: Sequence[str], file: File) -> Iterator[Problem]:
        """Yield the problems of `scan` with the keys of the values that hold the tokens. In a comment there is no key.

        A JWT in a URL that does not say which company it belongs to can't be a token of Plug.
        """
        texts = list(find_texts(file.values)) if problems else []
        for problem, token in zip(problems, found, strict=True):
            path = next((path for path, text in texts if token in text), ())
            key = dotted(path)
            if token in key:
                key = ""
            is_unknown = problem.message == JWT_MESSAGE and token not in self._jwts
            if is_unknown and path[:1] == ("webhooks",) and ORGANIZATION_CLAIM not in read_payload(token):
                yield replace(problem, key=key, message=RECEIVERS_KEY, hint=RECEIVERS_HINT)
            else:
                yield replace(problem, key=key)

    def may_hold_secrets(self, text: str) -> bool:
        """Return whether a value of a file may hold a secret. `text` is the file's text, and has no escapes.

        YAML joins the lines of a value with a blank, so a secret without a blank is in the text as it is in the value.
        """
        return self._have_blanks or bool(self._secrets.find_in(text))

    def find_secrets(self, file: File) -> tuple[list[tuple[KeyPath, Problem]], list[str]]:
        """Return a problem for each URL and var that holds a secret, and the secrets."""
        if not self._secrets.tokens:
            return [], []
        texts = [(path, text) for path, text in find_texts(file.values) if path[:1] in _SHOWN_KEYS]
        whole = "\n".join(text for _, text in texts)
        found = self._secrets.find_in(whole)[:MAX_IN_A_FILE]
        holding = [path for path, text in texts if any(secret in text for secret in found)] if found else []
        return [
            (path, Problem(file.name, *file.position(path), dotted(path), SECRET_MESSAGE, RECEIVERS_HINT))
            for path in holding
        ], found

    def _find(self, text: str) -> Iterable[tuple[int, str, str]]:
        tokens = self._opaque.find_in(text)
        if JWT_BEGINNING in text:
            for match in _JWT.finditer(text):
                yield match.start(1), match[1], JWT_MESSAGE
            tokens += self._known_jwts.find_in(text)
        for token in tokens:
            yield text.index(token), token, "holds the value of a token variable"


def find_token_keys(file: File) -> list[tuple[KeyPath, Problem]]:
    """Return the keys that ask for a token, at any level. `token_env` does not: it names a variable."""
    found = []
    for path, position in file.key_positions.items():
        if is_token_key(str(path[-1])):
            message = "a token, secret or password is never in a manifest"
            hint = "token_env names the variable that holds the token; {secret:NAME} fills a secret into a URL"
            found.append((path, Problem(file.name, *position, dotted(path), message, hint)))
    return found


def find_texts(value: Any, path: KeyPath = (), seen: set[int] | None = None) -> Iterator[tuple[KeyPath, str]]:
    """Yield every text in a file's values with its path, down to the depth of a manifest.

    A value that aliases repeat is visited once: a hundred aliases would turn one list into a hundred, or into
    ten thousand if they are nested.
    """
    seen = set() if seen is None else seen
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list) and len(path) < 3 and id(value) not in seen:
        seen.add(id(value))
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from find_texts(inner, (*path, key), seen)
