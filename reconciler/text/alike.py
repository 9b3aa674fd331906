"""Items whose texts are alike but for what was filled into them, so that they are read once (docs/contract.md#plan).

A plan and the state hold only the values that were filled in, not what the manifests were written with. So each value
is replaced by a mark for its name, `{environment}` or `{NAME}`, and items with equal texts are alike.

Nothing is filled into the name of a secret, so `{secret:NAME}` never gets a mark: another secret is another text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from reconciler.text.groups import SHOWN_ONE_BY_ONE

ENVIRONMENT = "environment"

_SECRET = re.compile(r"(\{secret:[^{}]*\})")
_FIRST_MARK = 0xF0000  # private use: a URL is ASCII, so no mark is taken for a part of one

Item = TypeVar("Item")
_Mark: TypeAlias = Callable[[str, str, str], str]  # (text, value, mark) -> text


@dataclass(frozen=True, slots=True)
class Rewrite:
    """How a text of one environment is written where it stands for others too."""

    filled: Callable[[str], str]  # a URL of a manifest, or one that was applied: its name and its vars are marked
    found: Callable[[str], str]  # any other text, such as what Plug holds: its name alone is marked


@dataclass(frozen=True, slots=True)
class Alike(Generic[Item]):
    """One item, or more than five that are alike, in the order given.

    `rewrite` takes texts of the first of several. It returns each with `{environment}` and `{NAME}` for the values that
    differ among them, and with each value that all share as it is.
    """

    members: tuple[Item, ...]
    rewrite: Rewrite


def fold(
    items: Sequence[Item],
    environment_of: Callable[[Item], str],
    likeness_of: Callable[[Item, Rewrite], Hashable],
    vars_by_environment: Mapping[str, Mapping[str, str]],
) -> list[Alike[Item]]:
    """Return every item once, in the order of the first of those that are alike. Linear in the items' size.

    Items are alike whose `likeness_of` is equal. It must pass each text through the `Rewrite` that it gets, which puts
    marks in the place of values. Values are looked for as whole words first (`com` is not found in `example.com`'s
    `company`), then, among items that are still alone, anywhere (`{environment}corp`).
    """
    values = _Values(vars_by_environment)
    folded: dict[int, Alike[Item]] = {}
    rest = list(range(len(items)))
    for mark in (_mark_words, _mark_anywhere):
        alike: dict[Hashable, list[int]] = {}
        for place in sorted(rest):
            rewrite = values.mark_values(environment_of(items[place]), mark)
            alike.setdefault(likeness_of(items[place], rewrite), []).append(place)
        rest = []
        for places in alike.values():
            if len(places) > SHOWN_ONE_BY_ONE:
                members = tuple(items[place] for place in places)
                folded[places[0]] = Alike(members, values.make_rewrite([*map(environment_of, members)], mark))
            else:
                rest += places
    for place in rest:
        folded[place] = Alike((items[place],), Rewrite(str, str))
    return [folded[place] for place in sorted(folded)]


def _mark_words(text: str, value: str, mark: str) -> str:
    """Replace `value` where no letter or digit touches it."""
    parts: list[str] = []
    kept = start = 0
    while (at := text.find(value, start)) >= 0:
        end = at + len(value)
        if text[at - 1 : at].isalnum() or text[end : end + 1].isalnum():
            start = at + 1
            continue
        parts += (text[kept:at], mark)
        kept = start = end
    parts.append(text[kept:])
    return "".join(parts)


def _mark_anywhere(text: str, value: str, mark: str) -> str:
    return text.replace(value, mark)


class _Values:
    """The values that were filled into the texts of each environment, and a mark for each name."""

    def __init__(self, variables: Mapping[str, Mapping[str, str]]) -> None:
        self._variables = variables
        self._marks: dict[str, str] = {}

    def _of(self, environment: str) -> dict[str, str]:
        """Return name -> value."""
        return {ENVIRONMENT: environment, **self._variables.get(environment, {})}

    def _mark_of(self, name: str) -> str:
        return self._marks.setdefault(name, chr(_FIRST_MARK + len(self._marks)))

    def mark_values(self, environment: str, mark: _Mark) -> Rewrite:
        """Return what puts a mark in the place of each value, longest first."""
        filled = sorted(self._of(environment).items(), key=lambda item: (-len(item[1]), item[0]))
        return Rewrite(
            partial(self._put_marks, filled, mark), partial(self._put_marks, [(ENVIRONMENT, environment)], mark)
        )

    def _put_marks(self, values: Sequence[tuple[str, str]], mark: _Mark, text: str) -> str:
        parts = _SECRET.split(text) if "{secret:" in text else [text]
        for at in range(0, len(parts), 2):  # between them are the secrets
            for name, value in values:
                if value:
                    parts[at] = mark(parts[at], value, self._mark_of(name))
        return "".join(parts)

    def make_rewrite(self, environments: Sequence[str], mark: _Mark) -> Rewrite:
        """Return the `rewrite` of environments that are alike."""
        written = self._write(environments)
        marking = self.mark_values(environments[0], mark)

        def rewrite(put_marks: Callable[[str], str], text: str) -> str:
            text = put_marks(text)
            for sign, instead in written:
                text = text.replace(sign, instead)
            return text

        return Rewrite(partial(rewrite, marking.filled), partial(rewrite, marking.found))

    def _write(self, environments: Iterable[str]) -> list[tuple[str, str]]:
        """Return what each mark means in the texts of these: `{NAME}`, or the value that all share."""
        every = [self._of(environment) for environment in environments]
        seen = {name: {values.get(name) for values in every} for name in every[0]}
        return [
            (self._mark_of(name), every[0][name] if len(values) == 1 else f"{{{name}}}")
            for name, values in seen.items()
        ]
