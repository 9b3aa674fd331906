"""The lines of manifests that problems quote: cut, and with tokens and secrets masked (docs/manifests.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

import yaml
from msgspec.structs import replace

from reconciler.core.spelling import SpelledValues
from reconciler.io.files import NotRegularError, TooLargeError, read_regular
from reconciler.manifests.nodes import LOADER, Lines
from reconciler.manifests.schema import is_token_key
from reconciler.manifests.tokens import mask_jwts
from reconciler.manifests.tree import MAX_BYTES
from reconciler.model import Location, Problem, Quote
from reconciler.text.hidden_values import MASK, HiddenValues

MAX_TEXT = 200  # characters of a quoted line
MAX_SENTENCE = 1_000  # characters of a message or a hint
MAX_MASKED = 4096  # characters of a text, or around a place, that are searched for tokens; no token is as long
SHOWN_BEFORE = 60  # characters that are shown before the place in a line that is cut
MAX_ABOVE = 20  # lines above that are looked at for a key such as `token`
MAX_MASKED_KEPT = 1024  # texts whose masked form is kept, because many problems share their hints and lines
MAX_FILES_KEPT = 3  # files whose text is kept: a manifest and the defaults of two folders

MIN_SPELLED = 6  # characters of a value that is masked in every spelling; a shorter one would match in many words

_WORD = re.compile(r"\S+")
_YAML_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U(000[0-9A-Fa-f]{5}|0010[0-9A-Fa-f]{4})|(.))")
# `{secret:NAME}` is a placeholder, not a key: in YAML, a blank follows the colon of a key without quotes
_KEYS = re.compile(
    r"""(?:^|(?<=[\s{,?-]))(?!(?<=\{)secret:\S)["']?([A-Za-z_][A-Za-z0-9_.-]{0,60})["']?\s{0,9}:[ \t]?"""
)


class SourceLines:
    """Reads lines of the tree's files again, to quote them. A file that was removed has no lines."""

    def __init__(self) -> None:
        self._read = lru_cache(maxsize=MAX_FILES_KEPT)(_read)

    def line(self, file: str, number: int) -> str | None:
        """Return a line without its end; None if it can't be read any more."""
        lines = self._read(file)
        return None if lines is None else lines.line(number)

    def find_value(self, source: Location, value: str) -> int | None:
        """Return the column of a value's first character; None if its line does not hold the value literally."""
        line = self.line(source.file, source.line) or ""
        if line.startswith(value, source.column - 1):
            return source.column
        quoted = line[source.column - 1 : source.column] in ("'", '"') and line.startswith(value, source.column)
        return source.column + 1 if quoted else None

    def is_on_several(self, source: Location, value: str) -> bool:
        """Return whether a value is a block (`>`, `|`), or continues in the next line."""
        line = self.line(source.file, source.line) or ""
        written = line[source.column - 1 :].rstrip()
        return bool(written) and (written[0] in ">|" or value.startswith(written.lstrip("\"'")))


def _read(file: str) -> Lines | None:
    try:
        return Lines(read_regular(file, MAX_BYTES).decode(errors="replace").removeprefix("\ufeff"))
    except (OSError, NotRegularError, TooLargeError):
        return None


class Quoting:
    """Adds to problems the lines that they are about, masked. `hidden` are the texts that no problem may show.

    A word that holds one of them in another spelling is masked whole.
    """

    def __init__(self, lines: SourceLines, hidden: Iterable[str]) -> None:
        self._lines = lines
        values = frozenset(hidden)
        self._hidden = HiddenValues()
        self._hidden.hide(values)
        self._spelled = SpelledValues(value for value in values if len(value) >= MIN_SPELLED)
        self._mask_text = lru_cache(maxsize=MAX_MASKED_KEPT)(self._mask)

    def mask_problem(self, problem: Problem) -> Problem:
        """Return the problem shortened, and without a hidden value in its key, its message and its hint."""
        texts = (problem.key, problem.message, problem.hint)
        key, message, hint = map(self._mask_long, texts)
        return replace(problem, key=key, message=message, hint=hint).shortened(MAX_SENTENCE)

    def quote(self, problem: Problem) -> Problem:
        """Return the problem with its line; unchanged if the line can't be read."""
        line = self._lines.line(problem.file, problem.line)
        if line is None or not line.strip() or problem.column < 1:
            return problem
        start = min(problem.column - 1, len(line))
        end = max(start + 1, _find_end(line[: start + MAX_MASKED], start))
        first = max(0, start - MAX_MASKED)
        shown = _ShownLine(line[first : start + MAX_MASKED], self._mask_text, is_secret=self._is_below_token(problem))
        begin = shown.position(start - first)
        mark = begin, max(begin, shown.position(end - first))
        return replace(problem, end_column=end + 1, quote=_cut(shown.text, *mark))

    def _mask_long(self, text: str) -> str:
        """Return a text masked; of a long one, its first and last characters alone."""
        if len(text) <= 2 * MAX_MASKED:
            return self._mask_text(text)
        return self._mask_text(text[:MAX_MASKED]) + self._mask_text(text[-MAX_MASKED:])

    def _mask(self, text: str) -> str:
        masked = self._hidden.mask(mask_jwts(text, MASK))
        if not self._is_spelled_in(masked):
            return masked
        masked = _WORD.sub(lambda word: MASK if self._is_spelled_in(word[0]) else word[0], masked)
        return MASK if self._is_spelled_in(masked) else masked

    def _is_spelled_in(self, text: str) -> bool:
        """Return whether a hidden value is in the text, in any spelling, as written or as YAML reads it."""
        read = _YAML_ESCAPE.sub(_undo_escape, text.replace("''", "'"))
        return any(self._spelled.occur_in(one) for one in {text, read})

    def _is_below_token(self, problem: Problem) -> bool:
        """Return whether the line continues the value of a key such as `token` in a line above."""
        line = self._lines.line(problem.file, problem.line) or ""
        indent = len(line) - len(line.lstrip())
        for number in range(problem.line - 1, max(0, problem.line - 1 - MAX_ABOVE), -1):
            above = (self._lines.line(problem.file, number) or "")[:MAX_MASKED]
            outer = len(above) - len(above.lstrip())
            if above.strip() and outer < indent:
                if _find_token_value(above) is not None:
                    return True
                indent = outer
        return False


def _undo_escape(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    return chr(int(code, 16)) if code else match[4]


class _ShownLine:
    """A line as it is shown, with a map of positions. Everything after a key such as `token` is masked."""

    def __init__(self, line: str, mask: Callable[[str], str], *, is_secret: bool) -> None:
        self._line, self._mask = line, mask
        secret_from = len(line) - len(line.lstrip()) if is_secret else _find_token_value(line)
        self._secret_from = len(line) if secret_from is None else secret_from
        self.text = mask(line[: self._secret_from]) + (MASK if line[self._secret_from :].strip() else "")

    def position(self, offset: int) -> int:
        """Return where the character at an offset of the line is shown; inside a masked part, the end of the mask."""
        found = len(self._mask(self._line[: min(offset, self._secret_from)]))
        return min(found + (len(MASK) if offset > self._secret_from else 0), len(self.text))


def _find_token_value(line: str) -> int | None:
    """Return where the value of a key such as `token` begins in a line."""
    return next((match.end() for match in _KEYS.finditer(line) if is_token_key(match[1])), None)


def _find_end(line: str, start: int) -> int:
    """Return where the key or value that begins at `start` ends within the line."""
    try:
        for token in yaml.scan(line, Loader=LOADER):
            begin, end = token.start_mark, token.end_mark
            if isinstance(token, yaml.ScalarToken) and (begin.line, begin.column) == (0, start):
                return int(end.column) if end.line == 0 else len(line.rstrip())
            if begin.line > 0 or begin.column > start:
                break
    except yaml.YAMLError:
        pass
    word = _WORD.match(line, start)
    return word.end() if word else start


def _cut(text: str, start: int, end: int) -> Quote:
    if len(text) <= MAX_TEXT:
        return Quote(text, start, end)
    first = max(0, min(start - SHOWN_BEFORE, len(text) - MAX_TEXT))
    before, kept = ("…", first + 1) if first else ("", 0)
    room = MAX_TEXT - len(before)
    behind = text[kept:]
    shown = behind if len(behind) <= room else behind[: room - 1] + "…"
    text = before + shown
    shift = len(before) - kept
    return Quote(text, start + shift, min(end + shift, len(text)))
