"""Receivers on hosts for documentation or local use: a warning, and what `apply` refuses (docs/manifests.md#policy)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.core.policy import is_reserved_host
from reconciler.core.urls import host_of
from reconciler.model import Desired, Event, Problem
from reconciler.text.counts import name_some


def find_reserved_hosts(desired: Iterable[Desired], *, hint: str) -> Iterator[Problem]:
    """One problem for each such host, at its first webhook: a default alone would make seven for each environment."""
    users: dict[str, list[tuple[Desired, Event]]] = {}
    for one in desired:
        for event, url in one.webhooks.items():
            if is_reserved_host(host_of(url)):
                users.setdefault(host_of(url), []).append((one, event))
    for host, using in users.items():
        one, event = using[0]
        source = one.sources[event]
        names = name_some(sorted({user.environment for user, _ in using}))
        count = f"{len(using)} webhooks" if len(using) > 1 else "a webhook"
        message = f"the host {host}, in {count} of {names}, is reserved for documentation or local use"
        yield Problem.at(source, f"webhooks.{event}", message, hint)
