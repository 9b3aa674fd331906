"""Faults of settings, reported at the place that the value came from. No fault repeats a value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping

from pydantic_core import ErrorDetails

from reconciler.core.policy import find_pattern_fault
from reconciler.core.urls import find_base_url_fault
from reconciler.model import AuthScheme, BodyForm, Fault, Problem, SettingPlace
from reconciler.settings.fields import FLAGS, Settings
from reconciler.settings.flags import PREFIX
from reconciler.settings.sources import GROUPS, VARIABLES, Layer
from reconciler.text.counts import digits

LEASE_MARGIN_S = 60.0  # time that a run may lose between its attempts before its lease ends


def find_unknown_variables(environ: Mapping[str, str]) -> Iterator[Problem]:
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in VARIABLES:
            yield SettingPlace("", name).problem(find_unknown(name, VARIABLES))


_TOKENS = re.compile(r"((api|plug|partner|bearer)_?)?(tokens?|secrets?|passwords?|authorization|key)")


def find_unknown(name: str, known: Iterable[str]) -> Fault:
    """Return the fault of a name that isn't among the `known` ones."""
    last = re.split(rf"\.|__|{PREFIX}", name)[-1].lower().replace("-", "_")
    near = _find_near(name, known)
    if _TOKENS.fullmatch(last):
        hint = "a token comes from the variable that token_env names, or from tokens_file"
    elif near is not None:
        hint = f"did you mean {near}?"
    else:
        hint = "`reconciler plan --help` lists all settings"
    return Fault("is not a setting", hint)


def _find_near(name: str, known: Iterable[str]) -> str | None:
    """Return the most similar known name. Case and the prefix, which all variables share, are ignored."""
    words = {one.removeprefix(PREFIX).lower(): one for one in sorted(known)}
    import difflib  # late: only a mistyped name needs it

    near = difflib.get_close_matches(name.removeprefix(PREFIX).lower(), words, n=1)
    return words[near[0]] if near else None


def path_of(fault: ErrorDetails) -> str:
    """Return the path of the setting with this fault; for an item of a list, that of the list."""
    first, *rest = (str(part) for part in fault["loc"])
    return f"{first}.{rest[0]}" if first in GROUPS and rest else first


def translate(found: ErrorDetails, layers: Iterable[Layer]) -> Problem:
    """Return the problem for one of pydantic's errors."""
    path = path_of(found)
    return find_place_of(path, layers).problem(_find_fault(path, found))


def _find_fault(path: str, found: ErrorDetails) -> Fault:
    if found["type"] == "extra_forbidden":
        return find_unknown(path, [*FLAGS, *GROUPS])
    if found["type"] == "enum":
        if path == "api.body":
            return Fault("is not a known body form", f"write {' or '.join(BodyForm)}")
        return Fault("is not a known scheme", f"write {' or '.join(AuthScheme)}")
    if path in GROUPS:
        return Fault("is not a table", f"write a table [{path}], in a variable or flag a JSON object")
    error = found.get("ctx", {}).get("error")
    return Fault(*error.args) if isinstance(error, ValueError) else Fault("has the wrong type")


def find_place_of(path: str, layers: Iterable[Layer]) -> SettingPlace:
    """Return the place of the value that wins; the place of a default is only its name."""
    return next((layer.place_of(path) for layer in layers if layer.holds(path)), SettingPlace("", path))


def find_misfits(settings: Settings, layers: list[Layer], wrong: set[str]) -> Iterator[Problem]:
    """Yield problems between settings, and of addresses and hosts. Settings in `wrong` are skipped."""
    if wrong.isdisjoint(("lease", "deadline", "timeout")):
        yield from _find_short_lease(settings, layers)
    if wrong.isdisjoint(("api", "api.base_url", "api.allowed_hosts")):
        yield from _find_address_faults(settings, layers)
    yield from _find_host_faults(settings, layers)


def _find_short_lease(settings: Settings, layers: list[Layer]) -> Iterator[Problem]:
    least = settings.deadline + settings.timeout + LEASE_MARGIN_S
    if settings.lease < least:
        given = (path for path in ("lease", "deadline", "timeout") if any(layer.holds(path) for layer in layers))
        fault = Fault(
            f"the lease of {digits(settings.lease)} s is shorter than deadline + timeout + 60 s",
            f"write a lease of {math.ceil(least)} or more",
        )
        yield find_place_of(next(given, "lease"), layers).problem(fault)


def _find_address_faults(settings: Settings, layers: list[Layer]) -> Iterator[Problem]:
    """Yield the faults of addresses. The default of the partner's is not checked: only commands that observe use it."""
    for path, url in (("api.base_url", settings.api.base_url), ("partner.base_url", settings.partner.base_url)):
        if path == "api.base_url" or any(layer.holds(path) for layer in layers):
            fault = find_base_url_fault(url, [host for host in settings.api.allowed_hosts if _is_host(host)])
            if fault is not None:
                yield find_place_of(path, layers).problem(fault)


def _find_host_faults(settings: Settings, layers: list[Layer]) -> Iterator[Problem]:
    for path, patterns in (
        ("policy.allowed_hosts", settings.policy.allowed_hosts or ()),
        ("policy.denied_hosts", settings.policy.denied_hosts),
    ):
        faults = [fault for fault in map(find_pattern_fault, patterns) if fault is not None]
        if faults:
            yield find_place_of(path, layers).problem(faults[0])
    if not all(map(_is_host, settings.api.allowed_hosts)):
        hint = "write whole hosts such as www.plugchat.com.br, without scheme, port, path or *"
        yield find_place_of("api.allowed_hosts", layers).problem(Fault("a name is not a valid host", hint))


def _is_host(host: str) -> bool:
    """Return whether a text is a host, so that a message may repeat it: it could be a token in the wrong place."""
    return not host.startswith("*") and find_pattern_fault(host) is None
