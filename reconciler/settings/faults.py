"""What is wrong with settings, told at the place where the value came from. No fault repeats a value."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from pydantic_core import ErrorDetails

from reconciler.core.policy import find_pattern_fault
from reconciler.core.urls import find_base_url_fault
from reconciler.model import AuthScheme, Problem
from reconciler.settings.fields import FLAGS, PREFIX, Settings
from reconciler.settings.sources import GROUPS, VARIABLES, Layer

LEASE_MARGIN_S = 60.0  # what a run may lose between its attempts without its lease being the shorter


def find_unknown_variables(environ: Mapping[str, str]) -> Iterator[Problem]:
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in VARIABLES:
            yield make_unknown(Problem.of(name, ""), name, VARIABLES)


_TOKENS = re.compile(r"((api|plug|partner|bearer)_?)?(tokens?|secrets?|passwords?|authorization|key)")


def make_unknown(place: Problem, name: str, known: Iterable[str]) -> Problem:
    last = re.split(r"\.|__|RECONCILER_", name)[-1].lower().replace("-", "_")
    near = _find_near(name, known)
    if _TOKENS.fullmatch(last):
        hint = "a token comes from the variable that token_env names, or from tokens_file"
    elif near is not None:
        hint = f"did you mean {near}?"
    else:
        hint = "the README lists all settings"
    return replace(place, message="is no setting", hint=hint)


def _find_near(name: str, known: Iterable[str]) -> str | None:
    """Without the prefix, which alone would make any two variables alike, and whatever the case."""
    words = {one.removeprefix(PREFIX).lower(): one for one in sorted(known)}
    near = difflib.get_close_matches(name.removeprefix(PREFIX).lower(), words, n=1)
    return words[near[0]] if near else None


def path_of(fault: ErrorDetails) -> str:
    """The setting's path: of a fault within a list, the list's."""
    first, *rest = (str(part) for part in fault["loc"])
    return f"{first}.{rest[0]}" if first in GROUPS and rest else first


def translate(fault: ErrorDetails, layers: Iterable[Layer]) -> Problem:
    path, kind = path_of(fault), fault["type"]
    place = find_place_of(path, layers)
    if kind == "extra_forbidden":
        return make_unknown(place, path, [*FLAGS, *GROUPS])
    if kind == "enum":
        return replace(place, message="is no known way", hint=f"write {' or '.join(AuthScheme)}")
    if path in GROUPS:
        return replace(
            place, message="is no table", hint=f"write a table [{path}], in a variable or flag a JSON object"
        )
    error = fault.get("ctx", {}).get("error")
    message, hint = error.args if isinstance(error, ValueError) else ("is of the wrong type", "")
    return replace(place, message=message, hint=hint)


def find_place_of(path: str, layers: Iterable[Layer]) -> Problem:
    """Where the value that counts came from; a default has no place but its name."""
    return next((layer.place_of(path) for layer in layers if layer.holds(path)), Problem.of(path, ""))


def find_misfits(settings: Settings, layers: list[Layer], wrong: set[str]) -> Iterator[Problem]:
    """What holds between settings, and of addresses and hosts; not of what is `wrong` already."""
    if wrong.isdisjoint(("lease", "deadline", "timeout")):
        yield from _find_short_lease(settings, layers)
    if wrong.isdisjoint(("api", "api.base_url", "api.allowed_hosts")):
        yield from _find_address_faults(settings, layers)
    yield from _find_host_faults(settings, layers)


def _find_short_lease(settings: Settings, layers: list[Layer]) -> Iterator[Problem]:
    least = settings.deadline + settings.timeout + LEASE_MARGIN_S
    if settings.lease < least:
        given = (path for path in ("lease", "deadline", "timeout") if any(layer.holds(path) for layer in layers))
        yield replace(
            find_place_of(next(given, "lease"), layers),
            message=f"the lease of {settings.lease:g} s is shorter than deadline + timeout + 60 s",
            hint=f"write a lease of {least:g} or more",
        )


def _find_address_faults(settings: Settings, layers: list[Layer]) -> Iterator[Problem]:
    """The partner's address is used by what observes alone, so its default is left in peace here."""
    for path, url in (("api.base_url", settings.api.base_url), ("partner.base_url", settings.partner.base_url)):
        if path == "api.base_url" or any(layer.holds(path) for layer in layers):
            fault = find_base_url_fault(url, [host for host in settings.api.allowed_hosts if _is_host(host)])
            if fault is not None:
                yield replace(find_place_of(path, layers), message=fault[0], hint=fault[1])


def _find_host_faults(settings: Settings, layers: list[Layer]) -> Iterator[Problem]:
    for path, patterns in (
        ("policy.allowed_hosts", settings.policy.allowed_hosts or ()),
        ("policy.denied_hosts", settings.policy.denied_hosts),
    ):
        faults = [fault for fault in map(find_pattern_fault, patterns) if fault is not None]
        if faults:
            yield replace(find_place_of(path, layers), message=faults[0][0], hint=faults[0][1])
    if not all(map(_is_host, settings.api.allowed_hosts)):
        hint = "write whole hosts such as www.plugchat.com.br, without scheme, port, path or *"
        yield replace(find_place_of("api.allowed_hosts", layers), message="a name is no host", hint=hint)


def _is_host(host: str) -> bool:
    """Whether it may be repeated in a message: what is no host could be somebody's token, in the wrong place."""
    return not host.startswith("*") and find_pattern_fault(host) is None
