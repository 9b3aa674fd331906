"""Templates in URLs (CONTRACT §2): filled in once, never again what was filled in.

written     https://{host}/{{x}}?key={secret:PLUG_SECRET_A}
text form   https://hooks.example.com/{{x}}?key={secret:PLUG_SECRET_A}   state, plans, every output
as sent     https://hooks.example.com/{x}?key=s3cret                     on the wire, nowhere else
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

SECRET = "secret:"  # noqa: S105 - the syntax
ENVIRONMENT = "environment"
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_SENT_PART = re.compile(r"\{\{|\}\}|\{secret:([^{}]*)\}")
_VAR_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class TemplateFault(ValueError):
    """Why a template can't be one. `hint` says what would be right."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Template:
    """`parts` alternate literal text (in the text form) and names: literal, name, literal, name, …, literal."""

    parts: tuple[str, ...]
    names: tuple[str, ...]  # of vars, `environment` included, in order
    secrets: tuple[str, ...]  # of {secret:NAME}, in order


@lru_cache(maxsize=4096)  # with defaults, thousands of environments share a template
def parse_template(text: str) -> Template:
    """Raises TemplateFault."""
    if "{" not in text and "}" not in text:
        return Template((text,), (), ())
    parts: list[str] = [""]
    names: list[str] = []
    secrets: list[str] = []
    position = 0
    for match in _PART.finditer(text):
        parts[-1] += text[position : match.start()]
        position = match.end()
        found = match.group()
        if found in ("{{", "}}"):
            parts[-1] += found
            continue
        name = match[1]
        if name is None:
            raise TemplateFault(f"a {found!r} stands alone", "write {{ or }} for a literal brace")
        if name.startswith(SECRET):
            secrets.append(_checked_secret(name.removeprefix(SECRET)))
            parts[-1] += found
            continue
        if not _VAR_NAME.fullmatch(name):
            raise TemplateFault("a name in braces is none", "write {NAME} for a var, {{ and }} for literal braces")
        names.append(name)
        parts += [name, ""]
    parts[-1] += text[position:]
    return Template(tuple(parts), tuple(names), tuple(secrets))


def _checked_secret(name: str) -> str:
    if not _SECRET_NAME.fullmatch(name):
        raise TemplateFault("a {secret:…} names no environment variable", "write {secret:PLUG_SECRET_NAME}")
    return name


def fill_vars(template: Template, environment: str, values: Mapping[str, str]) -> str:
    """The text form. Raises KeyError with the first name that is neither `environment` nor in `values`."""
    if len(template.parts) == 1:
        return template.parts[0]
    filled = list(template.parts)
    for place in range(1, len(filled), 2):
        name = filled[place]
        filled[place] = environment if name == ENVIRONMENT else values[name]
    return "".join(filled)


def secret_names(text: str) -> tuple[str, ...]:
    """The names of the secrets in a text form, sorted, each once."""
    if "{secret:" not in text:
        return ()
    return tuple(sorted({match[1] for match in _SENT_PART.finditer(text) if match[1] is not None}))


def has_secret(text: str) -> bool:
    """Whether a text form names a secret."""
    return "{secret:" in text and any(match[1] is not None for match in _SENT_PART.finditer(text))


def split_secrets(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The literals of a text form, as they are sent, and the names of the secrets between them, one fewer."""
    literals, names, position = [""], [], 0
    for match in _SENT_PART.finditer(text):
        literals[-1] += text[position : match.start()]
        position = match.end()
        if match[1] is None:
            literals[-1] += match.group()[0]
        else:
            names.append(match[1])
            literals.append("")
    literals[-1] += text[position:]
    return tuple(literals), tuple(names)


def fill_secrets(text: str, value_of: Callable[[str], str]) -> str:
    """The URL as it is sent, from its text form. A secret is filled in as it is, whatever it looks like."""
    if "{" not in text and "}" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        return match.group()[0] if match[1] is None else value_of(match[1])

    return _SENT_PART.sub(replace, text)
