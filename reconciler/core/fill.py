"""Templates in URLs (docs/manifests.md). A filled-in value is never filled in again.

written     https://{host}/{{x}}?key={secret:PLUG_SECRET_A}
text form   https://hooks.example.com/{{x}}?key={secret:PLUG_SECRET_A}   state, plans, every output
as sent     https://hooks.example.com/{x}?key=s3cret                     on the wire, nowhere else
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

from msgspec import Struct

from reconciler.model import Fault

SECRET = "secret:"  # noqa: S105 - the syntax
ENVIRONMENT = "environment"
MAX_URL_BYTES = 2048
TOO_LONG = Fault(f"is longer than {MAX_URL_BYTES:,} bytes", "shorten the path or the query")

# Limits of a URL as it is written. Each bounds the time to fill it in, which every environment of a folder takes. A
# placeholder takes at least a byte of the URL, unless its value is empty.
MAX_WRITTEN = 32 * MAX_URL_BYTES  # characters
MAX_PLACES = MAX_URL_BYTES  # placeholders
MAX_NAMES = 50  # different names in them

# `\{|\}` is searched for several times as fast as `[{}]`, because every branch begins with a literal
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|\{|\}")
_SENT_PART = re.compile(r"\{\{|\}\}|\{secret:([^{}]*)\}")
_VAR_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_SECRET_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


class TemplateFault(ValueError):
    """A text that is not a valid template. `hint` says what would be right."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Template(Struct, frozen=True):
    """A URL with placeholders. `parts` alternates literal text (in the text form) and names: literal, name, …, literal.

    `names` counts the uses of each var, `environment` included. `secrets` has the names of {secret:NAME}, each once.
    `fixed_bytes` is the length of the rest of the URL as it is sent, a byte for each secret.
    """

    parts: tuple[str, ...]
    names: Mapping[str, int]
    secrets: tuple[str, ...]
    fixed_bytes: int

    def measure(self, environment: str, values: Mapping[str, str]) -> int:
        """Return the length that the URL would have with the vars filled in. Raises KeyError."""
        lengths = (
            count * len(environment if name == ENVIRONMENT else values[name]) for name, count in self.names.items()
        )
        return self.fixed_bytes + sum(lengths)


def parse_template(text: str) -> Template:
    """Return the template in a text. Raises TemplateFault."""
    return _require(_parse_once(text))


def parse_lines(texts: Iterable[str]) -> Template:
    """Return the templates of several texts as one, in which each text is a line.

    Raises TemplateFault if one of them is wrong, or if all together pass a limit of a single one.
    """
    return _require(_parse("\n".join((*texts, ""))))


def _require(parsed: Template | Fault) -> Template:
    if isinstance(parsed, Fault):
        raise TemplateFault(*parsed)
    return parsed


def _parse(text: str) -> Template | Fault:
    if "{" not in text and "}" not in text:
        return Template((text,), {}, (), len(text))
    if len(text) > MAX_WRITTEN:
        return TOO_LONG
    parts: list[str] = []
    literal: list[str] = []
    names: list[str] = []
    secrets: list[str] = []
    position = fixed_bytes = 0
    for match in _find_braces(text):
        literal.append(text[position : match.start()])
        fixed_bytes += match.start() - position
        position = match.end()
        found, name = match[0], match[1]
        if found in ("{{", "}}") or (name is not None and name.startswith(SECRET)):
            literal.append(found)
            fixed_bytes += 1
            if name is not None:
                secrets.append(name.removeprefix(SECRET))
        elif name is not None and is_var_name(name):
            names.append(name)
            parts += ["".join(literal), name]
            literal.clear()
        else:
            return _find_brace_fault(found, name)
    literal.append(text[position:])
    fixed_bytes += len(text) - position
    parts.append("".join(literal))
    fault = _find_secret_fault(secrets) or _find_excess(names, secrets)
    return fault or Template(tuple(parts), Counter(names) if names else {}, tuple(dict.fromkeys(secrets)), fixed_bytes)


def _find_braces(text: str) -> Iterator[re.Match[str]]:
    """Yield what `_PART.finditer` yields. Most texts have few braces, which `find` finds much sooner."""
    opening, closing = text.find("{"), text.find("}")
    while opening >= 0 or closing >= 0:
        start = opening if closing < 0 or 0 <= opening < closing else closing
        match = _PART.match(text, start)
        assert match is not None  # a brace alone matches too
        yield match
        if 0 <= opening < match.end():
            opening = text.find("{", match.end())
        if 0 <= closing < match.end():
            closing = text.find("}", match.end())


_parse_once = lru_cache(maxsize=4096)(_parse)  # thousands of environments share the template of a default, or its fault


def is_var_name(name: str) -> bool:
    """Return whether a var may have this name."""
    return _VAR_NAME.fullmatch(name) is not None


def _find_brace_fault(found: str, name: str | None) -> Fault:
    if name is None:
        return Fault(f"has a single {found!r}", "write {{ or }} for a literal brace")
    meant = name.strip()
    if is_var_name(meant):
        return Fault("has blanks around a name in braces", f"write {{{meant}}}, without blanks")
    if meant.lower().startswith("secret") and ":" in meant:
        return Fault("names a secret in another form", "write {secret:PLUG_SECRET_NAME}, in lower case, without blanks")
    return Fault("has an invalid name in braces", "write {NAME} for a var, {{ and }} for literal braces")


def _find_secret_fault(names: list[str]) -> Fault | None:
    if all(_SECRET_NAME.fullmatch(name) for name in names):
        return None
    return Fault("has a {secret:…} without the name of an environment variable", "write {secret:PLUG_SECRET_NAME}")


def _find_excess(names: list[str], secrets: list[str]) -> Fault | None:
    if len(names) + len(secrets) > MAX_PLACES:
        return TOO_LONG
    if len({*names, *secrets}) > MAX_NAMES:
        return Fault(f"fills in more than {MAX_NAMES} different names", "write out what is the same everywhere")
    return None


def fill_vars(template: Template, environment: str, values: Mapping[str, str]) -> str:
    """Return the text form. Raises KeyError with the first name that is neither `environment` nor in `values`."""
    if len(template.parts) == 1:
        return template.parts[0]
    filled = list(template.parts)
    for index in range(1, len(filled), 2):
        name = filled[index]
        filled[index] = environment if name == ENVIRONMENT else values[name]
    return "".join(filled)


def secret_names(text: str) -> tuple[str, ...]:
    """Return the names of the secrets in a text form, sorted, each once."""
    if "{secret:" not in text:
        return ()
    return tuple(sorted({match[1] for match in _SENT_PART.finditer(text) if match[1] is not None}))


def has_secret(text: str) -> bool:
    """Return whether a text form names a secret."""
    return "{secret:" in text and any(match[1] is not None for match in _SENT_PART.finditer(text))


def split_secrets(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the literals of a text form, as they are sent, and the names of the secrets between them."""
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


def double_braces(text: str) -> str:
    """Return a text as literal text in a template: with its braces doubled."""
    return text.replace("{", "{{").replace("}", "}}")


def fill_secrets(text: str, value_of: Callable[[str], str]) -> str:
    """Return the URL as it is sent, from its text form. Braces in a secret's value have no meaning."""
    if "{" not in text and "}" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        return match.group()[0] if match[1] is None else value_of(match[1])

    return _SENT_PART.sub(replace, text)
