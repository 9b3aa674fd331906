"""The inputs of an apply run that a person started, from the event."""

from __future__ import annotations

import re
from collections.abc import Mapping

from msgspec import Struct

from reconciler.core.digest import is_digest
from reconciler.core.guards import MaxChanged, parse_max_changed
from reconciler.errors import InputError
from reconciler.model import Problem


class RunInputs(Struct, frozen=True):
    """The inputs of one run; a run that a push started has the defaults.

    `environments` are globs, empty for all environments. `accepted` has the environments of `accept_account_change`.
    """

    environments: tuple[str, ...] = ()
    reassert: bool = False
    expect: str | None = None
    max_changed: MaxChanged | None = None
    accepted: tuple[str, ...] = ()
    new_state: bool = False
    check_first: bool = False

    @property
    def bound(self) -> tuple[str, ...]:
        """The names of the given inputs that narrow the run or lift a guard, so that they are for one commit only."""
        given = {
            "environments": bool(self.environments),
            "expect": self.expect is not None,
            "max_changed": self.max_changed is not None,
            "accept_account_change": bool(self.accepted),
            "new_state": self.new_state,
        }
        return tuple(name for name, is_given in given.items() if is_given)


def parse_inputs(given: object) -> RunInputs:
    """Return the inputs in the event's `inputs`. Lists are separated by commas or blanks.

    Raises InputError with every problem.
    """
    texts = {str(name): _to_text(value) for name, value in given.items()} if isinstance(given, Mapping) else {}
    problems: list[Problem] = []
    expect = texts.get("expect", "") or None
    if expect is not None and not is_digest(expect):  # the message does not repeat it: it may be a misplaced token
        hint = "copy it from the reviewed plan: sha256: and 64 hex digits, in small letters"
        problems.append(Problem.of("expect", "is not a digest", hint))
    max_changed = None
    if texts.get("max_changed"):
        try:
            max_changed = parse_max_changed(texts["max_changed"])
        except ValueError as error:
            problems.append(Problem.of("max_changed", f"{texts['max_changed']!r} is not a limit", str(error)))
    inputs = RunInputs(
        environments=_split(texts.get("environments", "")),
        reassert=_parse_switch("reassert", texts, problems),
        expect=expect,
        max_changed=max_changed,
        accepted=_split(texts.get("accept_account_change", "")),
        new_state=_parse_switch("new_state", texts, problems),
        check_first=_parse_switch("check_first", texts, problems),
    )
    if problems:
        raise InputError(problems=problems)
    return inputs


def _to_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value).strip()


def _split(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in re.split(r"[\s,]+", text) if part))


def _parse_switch(name: str, texts: Mapping[str, str], problems: list[Problem]) -> bool:
    text = texts.get(name, "")
    if text not in ("", "true", "false"):
        problems.append(Problem.of(name, f"{text!r} is neither true nor false"))
    return text == "true"
