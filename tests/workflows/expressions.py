"""GitHub's expressions, as far as the shipped workflows use them (GitHub's "Evaluate expressions")."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+)|(?P<name>[A-Za-z_][\w-]*)|(?P<sign>&&|\|\||==|!=|[!().,\[\]]))"
)
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
STATUS_FUNCTIONS = ("always", "success", "failure", "cancelled")


def uses_status(expression: str) -> bool:
    """Whether it asks for the status itself; otherwise `if:` means `success() && …`."""
    return any(f"{name}()" in expression for name in STATUS_FUNCTIONS)


def is_true(value: Any) -> bool:
    return value not in (None, False, 0, "")


def to_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict | list) else str(value)


def fill(text: str, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """A text with `${{ }}` in it; a text that is nothing else keeps the value's type."""
    whole = re.fullmatch(r"\s*\$\{\{(.*?)\}\}\s*", text, re.DOTALL)
    if whole and "${{" not in whole[1]:
        return evaluate(whole[1], contexts, functions)
    return re.sub(
        r"\$\{\{(.*?)\}\}", lambda found: to_text(evaluate(found[1], contexts, functions)), text, flags=re.DOTALL
    )


def evaluate(expression: str, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> Any:
    return _Parser(expression, contexts, functions).whole()


class _Parser:
    def __init__(self, text: str, contexts: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]) -> None:
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            found = _TOKEN.match(text, at)
            assert found, f"not understood: {text[at:]!r}"
            self._tokens.append((str(found.lastgroup), found[str(found.lastgroup)]))
            at = found.end()
        self._at = 0
        self._contexts = contexts
        self._functions = functions

    def whole(self) -> Any:
        value = self._any()
        assert self._at == len(self._tokens), f"left over: {self._tokens[self._at :]}"
        return value

    def _take(self, *signs: str) -> str | None:
        if self._at < len(self._tokens) and self._tokens[self._at][1] in signs and self._tokens[self._at][0] == "sign":
            self._at += 1
            return self._tokens[self._at - 1][1]
        return None

    def _any(self) -> Any:
        value = self._all()
        while self._take("||"):
            other = self._all()
            value = value if is_true(value) else other
        return value

    def _all(self) -> Any:
        value = self._compared()
        while self._take("&&"):
            other = self._compared()
            value = other if is_true(value) else value
        return value

    def _compared(self) -> Any:
        value = self._unary()
        while sign := self._take("==", "!="):
            equal = _equal(value, self._unary())
            value = equal if sign == "==" else not equal
        return value

    def _unary(self) -> Any:
        return not is_true(self._unary()) if self._take("!") else self._primary()

    def _primary(self) -> Any:
        if self._take("("):
            value = self._any()
            assert self._take(")")
            return value
        kind, token = self._tokens[self._at]
        self._at += 1
        if kind == "text":
            return token[1:-1].replace("''", "'")
        if kind == "number":
            return int(token)
        if token in _WORDS:
            return _WORDS[token]
        if self._take("("):
            arguments = []
            while not self._take(")"):
                arguments.append(self._any())
                self._take(",")
            return self._functions[token](*arguments)
        value = self._contexts[token]
        while True:
            if self._take("."):
                key: Any = self._tokens[self._at][1]
                self._at += 1
            elif self._take("["):
                key = self._any()
                assert self._take("]")
            else:
                return value
            value = value.get(key) if isinstance(value, Mapping) else None


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, str) and isinstance(right, str):
        return left.lower() == right.lower()
    if type(left) is not type(right):
        return _number(left) == _number(right)
    return bool(left == right)


def _number(value: Any) -> float:
    if value is None or value == "":
        return 0
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
