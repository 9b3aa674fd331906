"""Problems for receivers on hosts that are reserved for documentation or local use (docs/manifests.md#policy)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.core.policy import is_reserved_host
from reconciler.core.urls import host_of
from reconciler.model import Desired, Event, Problem
from reconciler.text.counts import name_some


def find_reserved_hosts(desired: Iterable[Desired], *, hint: str) -> Iterator[Problem]:
    """Yield one problem for each such host, at its first webhook, as a default's host is in very many webhooks."""
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
