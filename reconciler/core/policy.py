"""The policy: the rule which hosts a webhook may have (docs/manifests.md#policy)."""

from __future__ import annotations

import re
from functools import cached_property, lru_cache

from msgspec import Struct

from reconciler.model import Fault
from reconciler.text.counts import name_some

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
    """Patterns of hosts. The time of a lookup depends on the host's labels, not on the number of patterns.

    `*.x` matches every name below x at any depth, but not x itself. Case doesn't matter.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._by_name = {pattern.lower(): pattern for pattern in reversed(patterns)}

    def find(self, host: str) -> str | None:
        """Return the pattern that matches the host, without port."""
        if not self._by_name:
            return None
        lowered = host.lower()
        found = self._by_name.get(lowered)
        dot = lowered.find(".")
        while found is None and dot >= 0:
            found = self._by_name.get("*" + lowered[dot:])
            dot = lowered.find(".", dot + 1)
        return found


class Policy(Struct, frozen=True, dict=True):
    """The hosts that are allowed and denied. `denied` takes precedence.

    `allowed` has a list for each file; a host must match each, so a file in a subfolder can only narrow it.
    """

    allowed: tuple[tuple[str, ...], ...] = ()
    denied: tuple[str, ...] = ()

    @cached_property
    def denied_patterns(self) -> _Patterns:
        return _Patterns(self.denied)

    @cached_property
    def allowed_patterns(self) -> tuple[tuple[tuple[str, ...], _Patterns], ...]:
        return tuple((allowed, _Patterns(allowed)) for allowed in self.allowed)

    def narrowed(self, allowed: tuple[str, ...] | None, denied: tuple[str, ...]) -> Policy:
        """Return the policy with the lists of a file in a subfolder added."""
        return Policy(
            allowed=self.allowed if allowed is None else (*self.allowed, allowed), denied=(*self.denied, *denied)
        )


def find_pattern_fault(pattern: str) -> Fault | None:
    """Return what is wrong with a host pattern."""
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
            hint = f"allowed here: {name_some(allowed) or 'none'}"
            return Fault(f"the policy doesn't allow the host {host}", hint)
    return None


@lru_cache(maxsize=65536)
def is_reserved_host(host: str) -> bool:
    """Return whether a host is reserved for documentation or local use, so that no real receiver can have it."""
    lowered = host.lower()
    return any(lowered == name or lowered.endswith("." + name) for name in _RESERVED)
