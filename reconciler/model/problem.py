"""Problems of the input: the place, what is wrong, and what would be right."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

MAX_KEY_PART = 80  # characters of a key between two dots; no key that has a meaning is as long
MAX_KEY = 400
MAX_SENTENCE = 10_000  # characters of a message or a hint; some name a hundred environments
SENTENCE_END = 200  # of them, the last ones: a long name is often followed by what is wrong with it


class Location(NamedTuple):
    """The place of a value: `file` as messages show it, `line` and `column` from 1."""

    file: str
    line: int
    column: int


class Fault(NamedTuple):
    """A description of what is wrong with a value, and what would be right. A `Problem` adds the value's place."""

    message: str
    hint: str = ""


class Quote(NamedTuple):
    """A line of a file with tokens and secrets masked, at most 200 characters of it.

    `text[start:end]` is the part that a problem is about.
    """

    text: str
    start: int
    end: int


class Problem(Struct, frozen=True, eq=False):
    """One error or warning of the input.

    `file` is empty for a value that is not in a file (a flag, a variable). `line` and `column` are 0 if its place in
    the file isn't known. `quote` is the line, and `end_column` the first column behind the part that is wrong, 0
    without a quote. `stands_for` is 1, or the number of problems that this one counts instead of listing them. Two
    problems that differ only in these three are equal.
    """

    file: str
    line: int
    column: int
    key: str
    message: str
    hint: str = ""
    end_column: int = 0
    quote: Quote | None = None
    stands_for: int = 1

    @classmethod
    def at(cls, location: Location, key: str, message: str, hint: str = "") -> Problem:
        """Return a problem at a place in a file."""
        return cls(*location, key, message, hint)

    @classmethod
    def of(cls, key: str, message: str, hint: str = "") -> Problem:
        """Return a problem of a flag, a variable or an argument, which `key` names."""
        return cls("", 0, 0, key, message, hint)

    @classmethod
    def in_file(cls, file: str, key: str, message: str, hint: str = "") -> Problem:
        """Return a problem of a file whose lines are not known."""
        return cls(file, 0, 0, key, message, hint)

    @property
    def where(self) -> str:
        """The place as `file:line:column`, or the part of it that is known."""
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file

    def shortened(self, max_sentence: int = MAX_SENTENCE) -> Problem:
        """Return the problem with its key, message and hint cut, as a name in a file may have a million characters.

        `max_sentence` is the most characters of the message and of the hint. What may hold a token is masked before,
        because a part of a token would not be found.
        """
        key = self.key
        if len(key) > MAX_KEY_PART:
            key = _cut(".".join(_cut(part, MAX_KEY_PART) for part in key[: 2 * MAX_KEY].split(".")), MAX_KEY)
        message, hint = (_cut(text, max_sentence, end=SENTENCE_END) for text in (self.message, self.hint))
        if (key, message, hint) == (self.key, self.message, self.hint):
            return self
        return replace(self, key=key, message=message, hint=hint)

    @property
    def _compared(self) -> tuple[object, ...]:
        return (self.file, self.line, self.column, self.key, self.message, self.hint)

    def __eq__(self, other: object) -> bool:
        return self._compared == other._compared if isinstance(other, Problem) else NotImplemented

    def __lt__(self, other: Problem) -> bool:
        return self._compared < other._compared

    def __hash__(self) -> int:
        return hash(self._compared)

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        key = f"{self.key}: " if self.key else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}{key}{self.message}{hint}"


def _cut(text: str, most: int, *, end: int = 0) -> str:
    """Return at most `most` characters of a text: its first ones, and the last `end` ones."""
    return text if len(text) <= most else f"{text[: most - end - 1]}…{text[len(text) - end :]}"


class SettingPlace(Struct, frozen=True):
    """The place where a setting was given: a key of `file`; if `file` is empty, the name of a flag or a variable."""

    file: str
    key: str

    def problem(self, fault: Fault) -> Problem:
        return Problem.in_file(self.file, self.key, *fault)
