"""Findings, results and receivers that say the same of many environments, so that they are read once (CONTRACT §5)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from reconciler.model import (
    CheckStage,
    EnvironmentResult,
    ReceiverCheck,
)

SHOWN_ONE_BY_ONE = 5  # up to so many alike environments are shown each on its own

_INSTANT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_TRIED = re.compile(r" \(tried \d+ times\)$", re.ASCII)


# --- results ---------------------------------------------------------------------------------------


def group_failures(results: Sequence[EnvironmentResult]) -> list[list[EnvironmentResult]]:
    """Those of like status and message, where they are more than five, largest first; then each of the others.

    Otherwise in the order given.
    """
    alike: dict[tuple[int | None, str], list[EnvironmentResult]] = {}
    for one in results:
        alike.setdefault((one.status, like_message(one)), []).append(one)
    groups = sorted((members for members in alike.values() if len(members) > SHOWN_ONE_BY_ONE), key=len, reverse=True)
    few = {id(one) for members in alike.values() if len(members) <= SHOWN_ONE_BY_ONE for one in members}
    return [*groups, *([one] for one in results if id(one) in few)]


def like_message(one: EnvironmentResult) -> str:
    """The message as `like_text`, and without how often it was tried."""
    return like_text(one.environment, _TRIED.sub("", one.message))


def like_text(environment: str, text: str) -> str:
    """The text without what is the environment's own: its name, as it is and as in the name of its token's variable,
    and instants (of a lease)."""
    if environment in text:  # a pattern for each of ten thousand names would take seconds
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(environment)}(?![A-Za-z0-9])", "ENVIRONMENT", text)
    variable = re.sub(r"[^A-Z0-9]", "_", environment.upper())
    if f"_{variable}" in text:
        text = re.sub(rf"(?<=_){re.escape(variable)}(?![A-Z0-9])", "ENVIRONMENT", text)
    return without_instants(text)


def without_instants(text: str) -> str:
    return _INSTANT.sub("TIME", text)


def message_of(group: Sequence[EnvironmentResult]) -> str:
    """What all of a group say; instants that differ as the first and the last of them."""
    if len(group) == 1:
        return group[0].message
    return join_instants([one.message for one in group], like_message(group[0]))


def join_instants(texts: Sequence[str], alike: str) -> str:
    """Return what texts share, `alike`, with TIME replaced by their instants: those that differ as `first to last`."""
    ranges = []
    for instants in zip(*map(_INSTANT.findall, texts), strict=False):  # alike texts hold as many of them
        first, last = min(instants), max(instants)
        ranges.append(first if first == last else f"{first} to {last}")
    parts = alike.split("TIME")
    if len(parts) != len(ranges) + 1:  # a text says TIME itself
        return alike
    return parts[0] + "".join(instant + part for instant, part in zip(ranges, parts[1:], strict=True))


def group_failing_receivers(receivers: Sequence[ReceiverCheck]) -> list[list[ReceiverCheck]]:
    """Those of one host that fail alike, where they are more than five; else each alone. In the order given."""
    alike: dict[tuple[str, CheckStage, int | None, str], list[ReceiverCheck]] = {}
    for one in receivers:
        alike.setdefault((one.place, one.stage, one.status, one.message), []).append(one)
    groups: list[list[ReceiverCheck]] = []
    for members in alike.values():
        groups += [members] if len(members) > SHOWN_ONE_BY_ONE else [[member] for member in members]
    return groups
