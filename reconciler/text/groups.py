"""Groups of results and receivers with the same message, so that a reader reads it once.

See docs/contract.md#plan.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reconciler.model import CheckStage, EnvironmentResult, ReceiverCheck
from reconciler.text.variable_name import name_in_variable

SHOWN_ONE_BY_ONE = 5  # up to this number, environments that are alike are shown one by one

_INSTANT = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_TRIED = re.compile(r" \(tried \d+ times\)$", re.ASCII)


# --- results ---------------------------------------------------------------------------------------


def group_failures(results: Sequence[EnvironmentResult]) -> list[list[EnvironmentResult]]:
    """Return groups of more than five results with the same status and message, largest first; then each other result.

    Within that, the order is the one given.
    """
    alike: dict[tuple[int | None, str], list[EnvironmentResult]] = {}
    for one in results:
        alike.setdefault((one.status, generalize_message(one)), []).append(one)
    groups = sorted((members for members in alike.values() if len(members) > SHOWN_ONE_BY_ONE), key=len, reverse=True)
    few = {id(one) for members in alike.values() if len(members) <= SHOWN_ONE_BY_ONE for one in members}
    return [*groups, *([one] for one in results if id(one) in few)]


def generalize_message(one: EnvironmentResult) -> str:
    """Return the message as `generalize_text` does, without the number of tries."""
    return generalize_text(one.environment, _TRIED.sub("", one.message))


def generalize_text(environment: str, text: str) -> str:
    """Return the text with ENVIRONMENT for the environment's name and TIME for each instant.

    The name is replaced as it is, and as it is written in the name of the token's variable.
    """
    if environment in text:  # checked first, as to compile a pattern for each of ten thousand names takes seconds
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(environment)}(?![A-Za-z0-9])", "ENVIRONMENT", text)
    variable = name_in_variable(environment)
    if f"_{variable}" in text:
        text = re.sub(rf"(?<=_){re.escape(variable)}(?![A-Z0-9])", "ENVIRONMENT", text)
    return without_instants(text)


def without_instants(text: str) -> str:
    return _INSTANT.sub("TIME", text)


def message_of(group: Sequence[EnvironmentResult]) -> str:
    """Return the message that a group shares, with `FIRST to LAST` for instants that differ."""
    if len(group) == 1:
        return group[0].message
    return join_instants([one.message for one in group], generalize_message(group[0]))


def join_instants(texts: Sequence[str], alike: str) -> str:
    """Return `alike` with each TIME replaced by the instants of the texts: `FIRST to LAST` if they differ."""
    ranges = []
    for instants in zip(*map(_INSTANT.findall, texts), strict=False):  # texts that are alike have equally many instants
        first, last = min(instants), max(instants)
        ranges.append(first if first == last else f"{first} to {last}")
    parts = alike.split("TIME")
    if len(parts) != len(ranges) + 1:  # the text itself contains the word TIME
        return alike
    return parts[0] + "".join(instant + part for instant, part in zip(ranges, parts[1:], strict=True))


def group_failing_receivers(receivers: Sequence[ReceiverCheck]) -> list[list[ReceiverCheck]]:
    """Return groups of more than five receivers of one host that fail in the same way; else each one alone."""
    alike: dict[tuple[str, CheckStage, int | None, str], list[ReceiverCheck]] = {}
    for one in receivers:
        alike.setdefault((one.place, one.stage, one.status, one.message), []).append(one)
    groups: list[list[ReceiverCheck]] = []
    for members in alike.values():
        groups += [members] if len(members) > SHOWN_ONE_BY_ONE else [[member] for member in members]
    return groups
