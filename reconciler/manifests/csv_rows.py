"""The CSV of `import`: its columns are the keys of a manifest, dotted, and each row is a company.

See docs/contract.md#commands.

A row is checked like a manifest, without what a _defaults.yaml may add. No message repeats a value: cells are easily
shifted, so that any of them may be a token or a secret.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import field

from reconciler.core.fill import TemplateFault, fill_vars, parse_template
from reconciler.core.imports import looks_random
from reconciler.core.partner_account import FIELDS
from reconciler.core.portable import find_reserved_fault, make_comparison_key
from reconciler.core.slips import FOREIGN_SECRET
from reconciler.core.urls import find_base_url_fault, find_character_fault, find_url_fault
from reconciler.core.variables import is_token_variable
from reconciler.io.files import Utf16Error, without_mark
from reconciler.manifests.file_names import is_nearly_defaults
from reconciler.manifests.merged import TreeOptions
from reconciler.manifests.nodes import File, dotted
from reconciler.manifests.schema import MAX_PROBLEMS, Manifest, check_file, is_token_key, known_keys, near_miss
from reconciler.manifests.tokens import TokenSearch
from reconciler.manifests.vars import find_secret_in_url, find_secret_in_var, find_var_fault
from reconciler.model import EVENTS, Event, Fault, Location, Problem, Unprinted
from reconciler.text.counts import counted

DELIMITERS = (",", ";", "\t")
MAX_CELL = 64 * 1024  # characters
_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,79}", re.ASCII)
_WORDS = re.compile(r"[^\W\d_]+(?:[ ._-][^\W\d_]+){0,4}")  # a header in any language; a value has a digit or a sign
_PLAIN_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)  # what the name of a var may be
MAX_WORDS = 40  # characters
_DELIMITER_LINE = re.compile(f'"?sep=([{"".join(DELIMITERS)}])"?\r?(?:\n|$)', re.IGNORECASE)  # Excel's own first line
_DECIMAL = re.compile("0|[1-9][0-9]{0,17}", re.ASCII)
FIELDS_ALWAYS_SHOWN = FIELDS.keys() - {Event.MESSAGE_DELIVERY_ERROR}
_GROUPS = ("api", "vars", "webhooks")


class Row(Unprinted, frozen=True):
    """One company. `values` has the other keys of its manifest, dotted; `place` is where its account_id is."""

    environment: str
    place: Location
    values: Mapping[str, str | int] = field(default_factory=dict)
    webhooks: Mapping[Event, str] = field(default_factory=dict)

    @property
    def account_to_read(self) -> str | None:
        """Return the id of the account to read webhooks from; None if the row has webhooks that an account shows."""
        account_id = self.values.get("account_id")
        return None if account_id is None or self.webhooks.keys() & FIELDS_ALWAYS_SHOWN else str(account_id)


def parse_rows(name: str, data: bytes, options: TreeOptions) -> tuple[list[Row], list[Problem]]:
    """Return the rows without a fault, and the problems of all others. `name` is the file's name, for messages."""
    try:
        text = without_mark(data).decode()
    except Utf16Error as error:
        return [], [Problem.in_file(name, "", str(error), "save it as CSV in UTF-8")]
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "save it as UTF-8; in Excel the type is called CSV UTF-8"
        return [], [Problem(name, line, 1, "", "is not UTF-8", hint)]
    try:
        (line, header), *records = _read_records(text) or [(1, [])]
    except _NotCsv as error:
        return [], [Problem(name, error.line, 1, "", f"is not valid CSV: {error}", "look at the quotes of this row")]
    columns = [cell.strip() for cell in header]
    filled = {number for _, record in records for number, cell in enumerate(record) if cell}
    problems = list(_check_header(name, line, columns, filled))
    if not problems and not records:
        problems = [Problem(name, line, 1, "", "has no row below the first one", "write a row for each company")]
    if problems:
        return [], problems
    return _RowReader(name, columns, options).read(records)


def check_company(environment: str, account_id: str, options: TreeOptions) -> tuple[list[Row], list[Problem]]:
    """Return the row, or the problems, of the one company that the flags name."""
    return _RowReader("", ["environment", "account_id"], options).read([(0, [environment, account_id])])


class _NotCsv(ValueError):
    def __init__(self, line: int, message: str) -> None:
        self.line = line
        super().__init__(message)


def _read_records(text: str) -> list[tuple[int, list[str]]]:
    """Return each row that is not empty, with its first line. Raises _NotCsv."""
    named = _DELIMITER_LINE.match(text)
    text = text[named.end() :] if named else text
    csv.field_size_limit(MAX_CELL)
    delimiter = named[1] if named else _find_delimiter(text.partition("\n")[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    records, above = [], 1 if named else 0
    line = above + 1
    try:
        for record in reader:
            if any(record):
                records.append((line, record))
            line = above + reader.line_num + 1
    except csv.Error as error:
        raise _NotCsv(line, str(error)) from None
    return records


def _find_delimiter(header: str) -> str:
    """Return the delimiter that finds the most known columns; among equals, the most frequent one."""
    return max(DELIMITERS, key=lambda one: (len(_known_columns(header.split(one))), header.count(one)))


def _known_columns(cells: Iterable[str]) -> list[str]:
    return [cell for cell in cells if _is_known(cell.strip().strip('"'))]


def _check_header(name: str, line: int, columns: Sequence[str], filled: Collection[int]) -> Iterator[Problem]:
    """Yield the problems of the first row. `filled` has the columns, from 0, that have a cell in another row."""
    wrong: list[tuple[int, str]] = []
    seen: set[str] = set()
    for number, column in enumerate(columns, start=1):
        # spreadsheets write the columns beside a table too
        if (column or number - 1 in filled) and (column in seen or not _is_known(column)):
            wrong.append((number, column))
        seen.add(column)
    for number, column in wrong[:MAX_PROBLEMS]:
        yield Problem(name, line, number, _show_column(column, number), *_explain_column(column))
    if len(wrong) > MAX_PROBLEMS:
        more = counted(len(wrong) - MAX_PROBLEMS, "more column")
        yield Problem(name, line, wrong[MAX_PROBLEMS][0], "", f"{more} can't be used", "fix the first ones first")
    if "environment" not in seen:
        yield Problem(name, line, 1, "", "has no column environment", "it is the name of the manifest's file")


def _show_column(column: str, number: int) -> str:
    """Return the name of a column, or its number if it may be a value: a file without a header begins with values."""
    is_header = _KEY.fullmatch(column) or (len(column) <= MAX_WORDS and _WORDS.fullmatch(column))
    return column if is_header and not any(map(looks_random, column.split("."))) else f"column {number}"


def _is_known(column: str) -> bool:
    """Return whether a column is a key of a manifest, or a var. It costs little, as a header may have many cells."""
    head, dot, rest = column.partition(".")
    if is_token_key(column) or is_token_key(rest):
        return False
    if head in _GROUPS:
        return rest in known_keys(Manifest, (head,)) or (head == "vars" and bool(rest))
    return not dot and head in known_keys(Manifest, ())


def _explain_column(column: str) -> Fault:
    """Return what is wrong with a column that can't be used."""
    if _is_known(column):
        return Fault("is the name of two columns", "keep one of them")
    if is_token_key(column) or is_token_key(column.partition(".")[2]):
        return Fault("a token, secret or password is never in a manifest", "put tokens into the file of tokens_file")
    if not column:
        return Fault("has no name", "the first row names the columns")
    columns = [key for key in known_keys(Manifest, ()) if key not in _GROUPS]
    columns += [f"{group}.{key}" for group in _GROUPS for key in known_keys(Manifest, (group,))]
    return Fault("is not a key of a manifest", _hint_at_column(column, columns))


def _hint_at_column(column: str, columns: Sequence[str]) -> str:
    """Return what to write in place of an unknown column: the key that it is near to, alone or without its group."""
    whole = {name.rpartition(".")[2]: name for name in columns}
    near = near_miss(column, [*columns, *whole])
    if near is not None:
        return f"did you mean {whole.get(near, near)}?"
    if _PLAIN_WORD.fullmatch(column) and _show_column(column, 0) == column:
        return f"if it is a var, write vars.{column}; else remove the column. Known: {', '.join(columns)}"
    return f"known: vars.NAME, {', '.join(columns)}"


class _RowReader:
    def __init__(self, name: str, columns: Sequence[str], options: TreeOptions) -> None:
        self._name = name
        self._options = options
        self._paths = [tuple(column.split(".", 1)) for column in columns]
        self._width = max((number for number, column in enumerate(columns, start=1) if column), default=0)
        self._search = TokenSearch(options.known_tokens, options.known_secrets)

    def read(self, records: Sequence[tuple[int, Sequence[str]]]) -> tuple[list[Row], list[Problem]]:
        rows: list[Row] = []
        problems: list[Problem] = []
        taken: dict[tuple[str, str], int] = {}
        for line, cells in records:
            file = self._make_file(line, cells)
            if not file.problems:
                self._check(file)
                self._check_unique(file, line, taken)
            if file.problems:
                problems += file.problems
            else:
                rows.append(self._make_row(file))
        return rows, problems

    def _make_file(self, line: int, cells: Sequence[str]) -> File:
        """Return a row in the form of a parsed manifest. A value's position is its line and its column's number."""
        file = File(self._name, start=(line, 1 if line else 0))
        if len(cells) < self._width or any(cells[len(self._paths) :]):
            message = f"has {len(cells)} cells, and the first row has {len(self._paths)}"
            file.problem(file.start, "", message, "put a value that holds the separator into double quotes")
        for number, (path, cell) in enumerate(zip(self._paths, cells, strict=False), start=1):
            if cell:
                file.key_positions[path] = file.positions[path] = (line, number if line else 0)
                value: Any = int(cell) if path == ("wave",) and _DECIMAL.fullmatch(cell) else cell
                target = file.values if len(path) == 1 else file.values.setdefault(path[0], {})
                target[path[-1]] = value
        return file

    def _check(self, file: File) -> None:
        bad = {path for path in file.positions if self._check_tokens(file, path)}
        bad |= check_file(file, Manifest)

        def report(path: tuple[str, ...], find: Callable[[Any], Fault | None]) -> None:
            value = _get(file, path)
            fault = None if path in bad or value is None else find(value)
            if fault is not None:
                file.problem(file.position(path), dotted(path), *fault)

        options = self._options
        if "environment" not in file.values:
            hint = "name the environment: its manifest is called after it"
            file.problem(file.start, "environment", "is empty", hint)
        report(("environment",), _find_name_fault)
        report(("token_env",), self._find_token_env_fault)
        report(("api", "base_url"), lambda url: find_base_url_fault(url, options.allowed_hosts))
        for name in file.values.get("vars", {}):
            report(("vars", name), lambda value, name=name: self._find_var_fault(name, value))  # type: ignore[misc]
        for event in file.values.get("webhooks", {}):
            report(("webhooks", event), lambda url: self._find_url_fault(file, url))

    def _find_token_env_fault(self, name: str) -> Fault | None:
        prefix = self._options.token_prefix
        if is_token_variable(name, prefix):
            return None
        return Fault(f"must start with {prefix}", "write the variable's name, never the token itself")

    def _check_tokens(self, file: File, path: tuple[str | int, ...]) -> bool:
        """Report a value that holds a token. URLs are left out: a key in a live URL becomes a secret."""
        found = [] if path[0] == "webhooks" else self._search.scan(file.name, str(_get(file, path)))[0]
        for problem in found[:1]:
            hint = "remove it, and take the token back if others could see this file"
            file.problem(file.position(path), dotted(path), problem.message, hint)
        return bool(found)

    def _find_var_fault(self, name: str, value: str) -> Fault | None:
        foreign = find_secret_in_var(value, self._options)
        return find_var_fault(name, value, self._options) if foreign is None else Fault(FOREIGN_SECRET, foreign.hint)

    def _find_url_fault(self, file: File, url: str) -> Fault | None:
        foreign = find_secret_in_url(url, self._options)
        if foreign is not None:
            return Fault(FOREIGN_SECRET, foreign.hint)
        try:
            template = parse_template(url)
        except TemplateFault as fault:
            return Fault(fault.message, fault.hint)
        if not all(name.startswith(self._options.secret_prefix) for name in template.secrets):
            return Fault(
                f"names a secret that does not start with {self._options.secret_prefix}", "rename the variable"
            )
        try:
            text = fill_vars(template, file.values["environment"], file.values.get("vars", {}))
        except KeyError:  # a _defaults.yaml may have the var
            return find_character_fault(url)
        return find_url_fault(text, allow_local=self._options.allows_local)

    def _check_unique(self, file: File, line: int, taken: dict[tuple[str, str], int]) -> None:
        for key in ("environment", "account_id", "token_env"):
            value = file.values.get(key)
            if not isinstance(value, str):
                continue
            first = taken.setdefault((key, make_comparison_key(value) if key == "environment" else value), line)
            if first != line:
                file.problem(file.position((key,)), key, f"is also in line {first}", "each row is another company")

    def _make_row(self, file: File) -> Row:
        values = dict(file.values)
        environment, webhooks = values.pop("environment"), values.pop("webhooks", {})
        flat: dict[str, str | int] = {}
        for key, value in values.items():
            if isinstance(value, dict):
                flat |= {f"{key}.{name}": inner for name, inner in value.items()}
            else:
                flat[key] = value
        in_order = {event: webhooks[event] for event in EVENTS if event in webhooks}
        return Row(environment, Location(self._name, *file.position(("account_id",))), flat, in_order)


def _get(file: File, path: tuple[str | int, ...]) -> Any:
    value: Any = file.values
    for key in path:
        value = value.get(key, {}) if isinstance(value, dict) else None
    return None if value == {} else value


def _find_name_fault(name: str) -> Fault | None:
    reserved = find_reserved_fault(name)
    if reserved is not None:
        return Fault(f"the name of the environment {reserved}", "choose a name that works on every system")
    if is_nearly_defaults(f"{name}.yaml"):
        return Fault("would make a file whose name is nearly _defaults.yaml", "choose another name")
    return None
