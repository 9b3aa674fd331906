"""Parsers of what users write for a setting. Each raises ValueError(what is wrong, what would be right).

No fault repeats a value, because it may be a token in the wrong place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from reconciler.core.guards import MaxChanged, parse_max_changed

MAX_TEXT = 4_096  # characters, as many as a path may have; messages repeat a path or an address
LONGEST_S = 36_500 * 86_400.0  # a hundred years; with longer durations, dates overflow
HOW_LONG = "write a number of seconds, or 90s, 15m, 12h, 7d"

_DURATION = re.compile(r"(\d{1,300}(?:\.\d{1,6})?)([smhd]?)", re.ASCII)  # of more digits, a float is infinite
_UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def parse_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("is not a text", "write it in quotes")
    if not value.strip():
        raise ValueError("is empty", "give it a value, or leave it out")
    if len(value) > MAX_TEXT:
        raise ValueError(f"is longer than {MAX_TEXT:,} characters", "shorten it")
    if _CONTROL.search(value):
        raise ValueError("holds a control character", "remove it (often a line end from copying)")
    return value


def check_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            "is not a valid name of an environment variable", "write letters, digits and _, as in PLUG_TOKEN"
        )
    return value


def parse_whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value.strip(), re.ASCII):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError("is out of range or not a whole number", f"write a whole number from {low} to {high}")
        return value

    return parse


def parse_rate(value: object) -> float:
    wrong = ValueError("is not a rate", "write requests a second, more than 0, as in 5 or 0.5")
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value.strip(), re.ASCII):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1_000_000:
        raise wrong
    return float(value)


def parse_seconds(value: object) -> float:
    """Return a duration from zero to a hundred years, in seconds."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        value = float(match[1]) * _UNITS_S[match[2]]
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError("is not a duration", HOW_LONG)
    # compared before it is a float: TOML's whole numbers have no limit
    if value > LONGEST_S:
        raise ValueError("is longer than a hundred years", "write at most 36500d, or leave it out")
    return float(value)


def check_positive(value: float) -> float:
    if value <= 0:
        raise ValueError("must be more than zero", HOW_LONG)
    return value


def parse_boolean(value: object) -> bool:
    if isinstance(value, str):
        value = _BOOLEANS.get(value.strip().lower())
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false", "write true or false")
    return value


def parse_limit(value: object) -> MaxChanged:
    is_written = isinstance(value, str | int) and not isinstance(value, bool)
    try:
        return parse_max_changed(str(value) if is_written else "")
    except ValueError as error:
        raise ValueError("is not a limit", str(error)) from None


def parse_hosts(value: object) -> tuple[str, ...]:
    """Return the hosts of a list, or of its text in a variable or a flag: comma separated, or JSON."""
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("is empty", "write [] for an empty list")
        value = parse_json(value) if value.lstrip().startswith("[") else value.split(",")
    if not isinstance(value, list | tuple):
        raise ValueError("is not a list of hosts", "write hosts separated by commas, or a list of texts")
    return tuple(parse_text(host).strip() for host in value)


def none_or(parse: Callable[[Any], Any]) -> Callable[[object], Any]:
    """Return a parser that also accepts `none`, which unsets a weaker source's value, as TOML has no null."""
    return lambda value: None if value is None or value == "none" else parse(value)


def parse_json(text: str) -> object:
    """Return the value of a JSON text; None if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def parse_group(text: str) -> object:
    """Return a JSON object; else the text itself, which the model refuses. None would count as not given."""
    value = parse_json(text)
    return value if isinstance(value, dict) else text


Text = Annotated[str, BeforeValidator(parse_text)]
VariableName = Annotated[Text, AfterValidator(check_name)]
Seconds = Annotated[float, AfterValidator(check_positive), BeforeValidator(parse_seconds)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(parse_hosts)]
