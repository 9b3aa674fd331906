"""The APIs that a run sends to, and names close to the state's (docs/contract.md#commands)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from reconciler.core.hosts import is_loopback_host
from reconciler.core.urls import host_of, split_url
from reconciler.model import ApiUse, Desired

BUCKETS = ("s3", "gs", "az")  # the schemes of object stores
SHARED = ("git", *BUCKETS)
NEAR = 0.75  # the ratio from which one name may be a typing error of the other; 1 is equal


def find_apis(desired: Iterable[Desired]) -> tuple[ApiUse, ...]:
    """Return the hosts that the environments are sent to: the most environments first, then by host."""
    count = Counter(split_url(one.endpoint)[1].lower() for one in desired)
    ordered = sorted(count.items(), key=lambda item: (-item[1], item[0]))
    return tuple(ApiUse(host, number, is_loopback_host(host_of(f"https://{host}/"))) for host, number in ordered)


def find_near_names(name: str, others: Iterable[str]) -> list[str]:
    """Return the few of `others` of which `name` may be a typing error, the closest first."""
    import difflib  # late, as only the name of a new state is compared

    # difflib's time grows with the number and length of the names, and a remote may have very many branches
    candidates = [other for other in others if other != name and abs(len(other) - len(name)) <= len(name) // 2]
    return difflib.get_close_matches(name, candidates, cutoff=NEAR)


def find_scheme(state: str) -> str:
    """Return the scheme of a shared store in the setting `state`, such as `git`; an empty text for a folder."""
    scheme, colon, _ = state.partition(":")
    return scheme if colon and scheme in SHARED else ""


def is_shared(state: str) -> bool:
    """Return whether the setting `state` names a store that a team shares, and not a folder."""
    return find_scheme(state) != ""
