"""Which hosts a webhook may have (docs/manifests.md#policy)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache

from reconciler.model import Fault

_PATTERN = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]", re.ASCII)

# RFC 2606, 6761, 6762, 7686, 8375, 9476 and the names that resolvers keep for themselves
_RESERVED = (
    "example.com",
    "example.net",
    "example.org",
    "example",
    "invalid",
    "test",
    "local",
    "internal",
    "onion",
    "home.arpa",
)


class _Patterns:
    """Patterns of hosts. A host is looked up by its own labels, however many patterns there are.

    `*.x` is every name below x at any depth, not x itself. Case doesn't matter.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._by_name = {pattern.lower(): pattern for pattern in reversed(patterns)}

    def find(self, host: str) -> str | None:
        """Return the pattern that matches the host, without port."""
        if not self._by_name:
            return None
        lowered = host.lower()
        found = self._by_name.get(lowered)
        place = lowered.find(".")
        while found is None and place >= 0:
            found = self._by_name.get("*" + lowered[place:])
            place = lowered.find(".", place + 1)
        return found


@dataclass(frozen=True)
class Policy:
    """`allowed` is a list of lists: a host must be in each, so a nearer file can only narrow. `denied` wins."""

    allowed: tuple[tuple[str, ...], ...] = ()
    denied: tuple[str, ...] = ()

    @cached_property
    def denied_patterns(self) -> _Patterns:
        return _Patterns(self.denied)

    @cached_property
    def allowed_patterns(self) -> tuple[tuple[tuple[str, ...], _Patterns], ...]:
        return tuple((allowed, _Patterns(allowed)) for allowed in self.allowed)

    def narrowed(self, allowed: tuple[str, ...] | None, denied: tuple[str, ...]) -> Policy:
        """With what a nearer file adds."""
        return Policy(
            allowed=self.allowed if allowed is None else (*self.allowed, allowed), denied=(*self.denied, *denied)
        )


def find_pattern_fault(pattern: str) -> Fault | None:
    """What is wrong with a host pattern."""
    if _PATTERN.fullmatch(pattern):
        return None
    return Fault(
        "a pattern is not a valid host",
        "write a host such as hooks.example.com.br, or *.example.com.br for all below it",
    )


def find_violation(policy: Policy, host: str) -> Fault | None:
    """Return why the policy refuses the host, which has no port."""
    pattern = policy.denied_patterns.find(host)
    if pattern is not None:
        hint = "choose another host, or change the policy"
        return Fault(f"the policy denies the host {host} ({pattern})", hint)
    for allowed, patterns in policy.allowed_patterns:
        if patterns.find(host) is None:
            listed = ", ".join(allowed[:5]) + (", …" if len(allowed) > 5 else "") if allowed else "none"
            return Fault(f"the policy doesn't allow the host {host}", f"allowed here: {listed}")
    return None


@lru_cache(maxsize=65536)
def is_reserved_host(host: str) -> bool:
    """A name kept for documentation or local use: no receiver of a real company's messages is there."""
    lowered = host.lower()
    return any(lowered == name or lowered.endswith("." + name) for name in _RESERVED)
