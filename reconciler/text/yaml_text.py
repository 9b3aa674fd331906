"""Quoted texts for the YAML files that this program writes."""

from __future__ import annotations

import re

_ESCAPED = re.compile('[^ -~\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|["\\\\\u2028\u2029]')


def quote(text: str) -> str:
    """Return the text in one line, in YAML's double quotes, so that no reader takes it for another type."""
    return f'"{_ESCAPED.sub(_escape, text)}"'


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    return f"\\{character}" if character in '"\\' else f"\\u{ord(character):04X}"
