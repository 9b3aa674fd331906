"""Tokens that stand in a file: found in the raw text, so in comments and broken YAML too (CONTRACT §2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from reconciler.manifests.nodes import File, Path, locate
from reconciler.manifests.schema import dotted, is_token_key
from reconciler.model import Problem

_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.~+/-]+", re.ASCII)
MANY = 200  # beyond so many tokens each word is looked up, instead of each token searched for
HINT = "remove it, and take the token back: it is in the history of this file. Tokens come from token_env"


@dataclass(slots=True)
class TokenSearch:
    """Knows the values of the tokens at hand."""

    tokens: tuple[str, ...]
    _words: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._words = frozenset(self.tokens)

    def scan(self, name: str, text: str) -> tuple[list[Problem], list[str]]:
        """The problems of one file's text, and the texts that no other problem may repeat."""
        problems: list[Problem] = []
        found: list[str] = []
        for offset, value, what in sorted(self._find(text)):
            if any(value in other for other in found):
                continue
            found.append(value)
            problems.append(Problem(name, *locate(text, offset), "", what, HINT))
        return problems, found

    def _find(self, text: str) -> Iterable[tuple[int, str, str]]:
        if "eyJ" in text:
            for match in _JWT.finditer(text):
                yield match.start(), match.group(), "holds a token (a JWT)"
        if len(self.tokens) <= MANY:
            for token in self.tokens:
                offset = text.find(token)
                if offset >= 0:
                    yield offset, token, "holds the value of a token variable"
            return
        for match in _WORD.finditer(text):
            if match.group() in self._words:
                yield match.start(), match.group(), "holds the value of a token variable"


def find_token_keys(file: File) -> list[tuple[Path, Problem]]:
    """Keys that ask for a token, at any level. `token_env` names a variable, so it is none."""
    found = []
    for path, position in file.key_positions.items():
        if is_token_key(str(path[-1])):
            message = "a token, secret or password never stands in a manifest"
            hint = "token_env names the variable that holds the token; {secret:NAME} fills a secret into a URL"
            found.append((path, Problem(file.name, *position, dotted(path), message, hint)))
    return found
