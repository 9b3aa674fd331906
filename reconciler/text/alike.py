"""Groups of items whose texts differ only in the values that were filled in (docs/contract.md#plan).

A group is shown once, so that a reader reads it once. A plan and the state contain only the filled-in values, not the
templates of the manifests. So each value is replaced by a mark for its name, `{environment}` or `{NAME}`, and items
with equal texts are alike.

No value is ever filled into the name of a secret, so `{secret:NAME}` gets no mark: texts with different secrets are
not alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct

from reconciler.text.groups import SHOWN_ONE_BY_ONE

ENVIRONMENT = "environment"

_SECRET = re.compile(r"(\{secret:[^{}]*\})")
_FIRST_MARK = 0xF0000  # private use: a URL is ASCII, so no mark is taken for a part of one

Item = TypeVar("Item")
_Mark: TypeAlias = Callable[[str, str, str], str]  # (text, value, mark) -> text


class Rewrite(Struct, frozen=True):
    """The two functions that write a text of one environment so that it is right for others too."""

    filled: Callable[[str], str]  # for a URL of a manifest, or an applied one: marks the environment's name and vars
    found: Callable[[str], str]  # for any other text, such as a URL in Plug: marks the environment's name alone


class Alike(Struct, Generic[Item], frozen=True):
    """One item, or more than five that are alike, in the order given.

    `rewrite` takes texts of the first member. It writes `{environment}` and `{NAME}` for the values that differ among
    the members, and leaves the values that all of them share.
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

    Items with an equal `likeness_of` are alike. It must pass each text through the `Rewrite` that it gets, which
    replaces values by marks. Values are searched for as whole words first (`com` is not found in `company`), then,
    among items that are still alone, anywhere (`{environment}corp`).
    """
    values = _Values(vars_by_environment)
    folded: dict[int, Alike[Item]] = {}
    rest = list(range(len(items)))
    for mark in (_mark_words, _mark_anywhere):
        alike: dict[Hashable, list[int]] = {}
        for index in sorted(rest):
            rewrite = values.mark_values(environment_of(items[index]), mark)
            alike.setdefault(likeness_of(items[index], rewrite), []).append(index)
        rest = []
        for indices in alike.values():
            if len(indices) > SHOWN_ONE_BY_ONE:
                members = tuple(items[index] for index in indices)
                folded[indices[0]] = Alike(members, values.make_rewrite([*map(environment_of, members)], mark))
            else:
                rest += indices
    for index in rest:
        folded[index] = Alike((items[index],), Rewrite(str, str))
    return [folded[index] for index in sorted(folded)]


class Filled(Struct, frozen=True):
    """Values by name, in the order of the names, that were filled into the texts of these environments, sorted."""

    values: tuple[tuple[str, str], ...]
    environments: tuple[str, ...]


def list_values(
    environments: Iterable[str], texts: Iterable[str], vars_by_environment: Mapping[str, Mapping[str, str]]
) -> tuple[Filled, ...]:
    """Return the values that the `{NAME}` in the texts of a group stand for, the rarest first.

    A group hides them, and on a host that many customers share only such a value says whose receiver it is.
    """
    text, members = "\0".join(texts), sorted(environments)
    names = sorted({name for one in members for name in vars_by_environment.get(one, {}) if f"{{{name}}}" in text})
    if not names:
        return ()
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for one in members:
        values = vars_by_environment.get(one, {})
        found.setdefault(tuple((name, values.get(name, "")) for name in names), []).append(one)
    return tuple(Filled(key, tuple(every)) for key, every in sorted(found.items(), key=lambda item: len(item[1])))


def _mark_words(text: str, value: str, mark: str) -> str:
    """Replace `value` by `mark` wherever neither a letter nor a digit is next to it."""
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
        """Return the environment's values by name."""
        return {ENVIRONMENT: environment, **self._variables.get(environment, {})}

    def _mark_of(self, name: str) -> str:
        return self._marks.setdefault(name, chr(_FIRST_MARK + len(self._marks)))

    def mark_values(self, environment: str, mark: _Mark) -> Rewrite:
        """Return the functions that replace each value by its mark, the longest value first."""
        filled = sorted(self._of(environment).items(), key=lambda item: (-len(item[1]), item[0]))
        return Rewrite(
            partial(self._put_marks, filled, mark), partial(self._put_marks, [(ENVIRONMENT, environment)], mark)
        )

    def _put_marks(self, values: Sequence[tuple[str, str]], mark: _Mark, text: str) -> str:
        parts = _SECRET.split(text) if "{secret:" in text else [text]
        for at in range(0, len(parts), 2):  # the odd parts are the secrets
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
        """Return each mark with the text that replaces it: `{NAME}`, or the value that all environments share."""
        every = [self._of(environment) for environment in environments]
        seen = {name: {values.get(name) for values in every} for name in every[0]}
        return [
            (self._mark_of(name), every[0][name] if len(values) == 1 else f"{{{name}}}")
            for name, values in seen.items()
        ]
