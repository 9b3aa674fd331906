"""Which hosts a webhook may have (CONTRACT §9)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

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


@dataclass(frozen=True, slots=True)
class Policy:
    """`allowed` is a list of lists: a host must be in each, so a nearer file can only narrow. `denied` wins."""

    allowed: tuple[tuple[str, ...], ...] = ()
    denied: tuple[str, ...] = ()

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


@lru_cache(maxsize=65536)
def matches(pattern: str, host: str) -> bool:
    """`*.x` is every name below x at any depth, not x itself. Case doesn't matter; `host` has no port."""
    pattern, host = pattern.lower(), host.lower()
    return host.endswith(pattern[1:]) and host != pattern[2:] if pattern.startswith("*.") else host == pattern


@lru_cache(maxsize=65536)
def find_violation(policy: Policy, host: str) -> Fault | None:
    """Why the policy refuses the host."""
    for pattern in policy.denied:
        if matches(pattern, host):
            hint = "choose another host, or change the policy"
            return Fault(f"the policy denies the host {host} ({pattern})", hint)
    for allowed in policy.allowed:
        if not any(matches(pattern, host) for pattern in allowed):
            listed = ", ".join(allowed[:5]) + (", …" if len(allowed) > 5 else "") if allowed else "none"
            return Fault(f"the policy doesn't allow the host {host}", f"allowed here: {listed}")
    return None


@lru_cache(maxsize=65536)
def is_reserved_host(host: str) -> bool:
    """A name kept for documentation or local use: no receiver of a real company's messages is there."""
    lowered = host.lower()
    return any(lowered == name or lowered.endswith("." + name) for name in _RESERVED)
