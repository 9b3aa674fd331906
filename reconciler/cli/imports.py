from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import click

from reconciler.cli.commands import SettingsCommand
from reconciler.cli.completion import complete_environments
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.files import read_named
from reconciler.cli.options import file_option, gathered, settings_options
from reconciler.cli.output import say, say_problems, warn, write
from reconciler.cli.progress import watch_state
from reconciler.cli.session import Session
from reconciler.errors import InputError
from reconciler.io.files import is_folder, write_new
from reconciler.io.progress import counted as watched
from reconciler.text.escape import for_terminal

if TYPE_CHECKING:
    from reconciler.core.imports import Draft, Drafts, ImportedCompany
    from reconciler.core.partner_account import Account
    from reconciler.manifests.csv_rows import Row

MAX_CSV_BYTES = 16 * 1024 * 1024


class Source(NamedTuple):
    """The companies to import: those of a CSV, or that of one account."""

    account_id: str | None
    csv_file: str | None
    names: tuple[str, ...]


class Target(NamedTuple):
    """The places for manifests and secrets, and the values that are not secret."""

    folder: str
    secrets_out: str | None
    plain: tuple[str, ...]


@click.command("import", cls=SettingsCommand)
@click.option("--account-id", metavar="ID", help="The company's account in the partner API; with one --environment.")
@file_option("--csv", "csv_file", help="Companies as rows. The columns are keys of a manifest, such as vars.host.")
@click.option(
    "-e",
    "--environment",
    "names",
    multiple=True,
    metavar="NAME",
    help="The environment's name; with --csv, only rows whose name matches this glob, repeatable.",
    shell_complete=complete_environments,
)
@click.option("--folder", metavar="SUBFOLDER", default="", help="Write into this folder below the manifests.")
@file_option("--secrets-out", help="Write the secrets of the URLs to this new file, for the setting secrets_file.")
@click.option(
    "--plain",
    multiple=True,
    metavar="REGEX",
    help="Values that are not secret: it matches a whole value, or name=value; repeatable.",
)
@gathered(Source, "source")
@gathered(Target, "target")
@settings_options
def import_(session: Session, source: Source, target: Target) -> int:
    """Write manifests for companies that exist.

    From the partner API, or from a CSV: a row with an account_id and without webhooks is read from the API too.
    Existing files are left. Nothing is sent to Plug but reads, and nothing is written to the state: `state adopt`
    records what was imported.

    Each value in a query, and each part of a path that looks random, becomes {secret:NAME}.

    \b
    Example:
      reconciler import --account-id 32133-31232 -e loja --secrets-out loja-secrets.yaml
      reconciler import --csv companies.csv --secrets-out secrets.yaml --plain 'v=.*'
    """
    is_plain = _parse_plain(target.plain)
    rows = _read_rows(session, source)
    place = _ManifestFolder(session.folder, session.settings.manifests, target.folder)
    _check_secrets_out(session, target.secrets_out)
    left = place.find_reasons_to_leave(rows, session.tree.names)
    wanted = [row for row in rows if row.environment not in left]
    found = _read_accounts(session, wanted)
    unread = {row.environment: account for row in wanted if isinstance(account := found.get(row.environment), str)}
    companies = [_make_company(session, row, found) for row in wanted if row.environment not in unread]
    drafts = _make_drafts(session, companies, is_plain)
    if drafts.count_secrets():
        _write_secrets(session, target.secrets_out, drafts)
    origins = {row.environment: _describe_origin(row) for row in wanted}
    with watch_state("writing manifests"):
        all_drafts = watched(drafts.drafts, len(drafts.drafts))
        failed = {draft.environment: place.write(draft, origins[draft.environment]) for draft in all_drafts}
    _show_files(rows, place, left | {name: reason for name, reason in failed.items() if reason}, unread)
    written = [draft for draft in drafts.drafts if not failed[draft.environment]]
    _report_unread([row for row in rows if row.environment in unread], unread)
    _report_missing(written)
    _report_next(written, target.secrets_out if drafts.count_secrets() else None)
    return ExitCode.NOT_APPLIED if unread or any(failed.values()) else ExitCode.DONE


# --- the input ---------------------------------------------------------------------------------------


def _parse_plain(expressions: Sequence[str]) -> Callable[[str], bool]:
    try:
        patterns = [re.compile(one) for one in expressions]
    except re.error as error:
        raise click.BadParameter(f"not a regular expression: {error}", param_hint="--plain") from None
    return lambda text: any(pattern.fullmatch(text) for pattern in patterns)


def _read_rows(session: Session, source: Source) -> list[Row]:
    """Return the rows to import. Raises InputError with the problems of all rows."""
    from reconciler.core.selection import select
    from reconciler.manifests.csv_rows import check_company, parse_rows

    if (source.csv_file is None) == (source.account_id is None):
        raise click.UsageError("give --csv FILE, or --account-id ID with --environment NAME")
    if source.csv_file is None:
        if len(source.names) != 1:
            raise click.UsageError("--account-id needs one --environment NAME: what the company is called here")
        rows, problems = check_company(source.names[0], source.account_id or "", session.tree_options)
    else:
        rows, problems = parse_rows(source.csv_file, _read_csv(session, source.csv_file), session.tree_options)
    if problems:
        raise InputError(problems=problems)
    if source.csv_file is None:
        return rows
    selected = select(source.names, [row.environment for row in rows])
    return [row for row in rows if row.environment in selected]


def _read_csv(session: Session, name: str) -> bytes:
    hint = "name a CSV file whose first row names its columns"
    return read_named(session.folder / name, MAX_CSV_BYTES, shown=name, key="--csv", hint=hint)


def _check_secrets_out(session: Session, name: str | None) -> None:
    """Raise InputError, before anything is read, if the file of secrets could not be written."""
    if name is None:
        return
    path, manifests = session.folder / name, session.folder / session.settings.manifests
    if os.path.lexists(path):
        raise InputError.of("--secrets-out", f"{name} exists", "it is never overwritten: name a new file")
    if not is_folder(path.parent):
        raise InputError.of("--secrets-out", f"the folder of {name} does not exist", "make it, or name another file")
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(manifests)):
        hint = "manifests are committed: write it to a place beside them"
        raise InputError.of("--secrets-out", f"{name} is in the folder of the manifests", hint)


# --- manifests and secrets ---------------------------------------------------------------------------


def _read_accounts(session: Session, rows: Sequence[Row]) -> Mapping[str, Account | str]:
    """Return the account of each row that needs one, or why it could not be read. Raises InputError."""
    accounts = {row.environment: account_id for row in rows if (account_id := row.account_to_read) is not None}
    if not accounts:
        return {}
    reads = session.account_reads(len(accounts))
    with watch_state("reading accounts"):
        return reads(accounts)


def _make_company(session: Session, row: Row, found: Mapping[str, Account | str]) -> ImportedCompany:
    from reconciler.core.imports import ImportedCompany, complete_company

    company = ImportedCompany(row.environment, row.values, row.webhooks)
    account = found.get(row.environment)
    if account is None or isinstance(account, str):
        return company
    return complete_company(company, account, allow_local=session.tree_options.allows_local)


def _make_drafts(session: Session, companies: Sequence[ImportedCompany], is_plain: Callable[[str], bool]) -> Drafts:
    """Return the manifests and secrets, and hide the secrets in the log from now on. Raises InputError."""
    from reconciler.core.imports import SecretRules, make_drafts
    from reconciler.model import Problem
    from reconciler.plug.credentials import find_named_secrets

    options = session.tree_options
    rules = SecretRules(
        prefix=options.secret_prefix,
        token_prefix=options.token_prefix,
        is_plain=is_plain,
        known=find_named_secrets(session.environ, session.secret_files, session.secret_names),
        tokens=options.known_tokens,
        taken=frozenset(name for one in session.tree.desired for name in one.secrets),
    )
    drafts = make_drafts(companies, rules, allow_local=options.allows_local)
    session.hide(*drafts.list_values())
    if drafts.showing:
        hint = "a value of a query is taken for a secret: keep it with --plain, or change this one"
        message = "holds a value that is a secret in a webhook"
        raise InputError(problems=[Problem.of(f"{name}: {key}", message, hint) for name, key in drafts.showing])
    return drafts


def _write_secrets(session: Session, name: str | None, drafts: Drafts) -> None:
    """Write the file of secrets. Raises InputError if none is named, or if it can't be written."""
    from reconciler.plug.secret_files import write_secrets_file
    from reconciler.text.counts import counted, name_some

    if name is None:
        message = f"the URLs hold {counted(drafts.count_secrets(), 'secret')}: {name_some(drafts.list_names())}"
        hint = "write them to a file with --secrets-out FILE, or keep what is not secret with --plain REGEX"
        raise InputError.of("--secrets-out", message, hint)
    write_secrets_file(session.folder / name, name, drafts.general, drafts.own)


class _ManifestFolder:
    """The folder that manifests are written into. Raises InputError if no manifest may be in it."""

    def __init__(self, base: Path, manifests: str, folder: str) -> None:
        from reconciler.core.portable import find_reserved_fault
        from reconciler.manifests.file_names import is_hidden

        parts = PurePosixPath(folder.replace(os.sep, "/")).parts
        self._root = base / manifests
        self._folder = self._root.joinpath(*parts)
        self._shown = "/".join([manifests.rstrip("/" + os.sep), *parts])
        hint = "name a folder below the manifests, such as customers/south"
        for part in parts:
            reserved = find_reserved_fault(part)
            if part == ".." or "/" in part or ":" in part:
                raise InputError.of("--folder", f"{folder} leads out of the manifests", hint)
            if is_hidden(part) or reserved:
                raise InputError.of("--folder", f"the name {part} {reserved or 'means that no manifest is read'}", hint)
        if not Path(os.path.realpath(self._folder)).is_relative_to(os.path.realpath(self._root)):
            raise InputError.of("--folder", "a link leads out of the manifests", hint)

    def show(self, environment: str) -> str:
        return f"{self._shown}/{environment}.yaml"

    def find_reasons_to_leave(self, rows: Sequence[Row], names: frozenset[str]) -> dict[str, str]:
        """Return why a manifest is not written. `names` are the environments that have one."""
        reasons = {}
        for row in rows:
            if any(os.path.lexists(self._folder / f"{row.environment}{suffix}") for suffix in (".yaml", ".yml")):
                reasons[row.environment] = "it exists"
            elif row.environment in names:
                reasons[row.environment] = "another file is the manifest of this environment"
        return reasons

    def write(self, draft: Draft, origin: str) -> str:
        """Write a new manifest. Return why it can't be written, or an empty text if it was."""
        from reconciler.manifests.writing import render_manifest

        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_new(self._folder / f"{draft.environment}.yaml", render_manifest(draft, origin).encode())
        except OSError as error:
            return f"can't be written: {error.strerror or type(error).__name__}"
        return ""


# --- the report --------------------------------------------------------------------------------------


def _describe_origin(row: Row) -> str:
    account_id = row.account_to_read
    if account_id is not None:
        return f"with the webhooks of account {account_id}"
    return "with the webhooks of a CSV" if row.webhooks else "from a CSV"


def _show_files(
    rows: Sequence[Row], place: _ManifestFolder, left: Mapping[str, str], unread: Mapping[str, str]
) -> None:
    lines = []
    for row in rows:
        file, reason = place.show(row.environment), left.get(row.environment)
        if row.environment not in unread:
            lines.append(f"left   {file}: {reason}" if reason else f"wrote  {file}")
    write("\n".join(for_terminal(line) for line in lines))


def _report_unread(rows: Sequence[Row], unread: Mapping[str, str]) -> None:
    from reconciler.model import Problem

    if rows:
        problems = [
            Problem.at(row.place, "account_id", f"{row.environment} was not read: {unread[row.environment]}")
            for row in rows
        ]
        say_problems(InputError(problems=problems))


def _report_missing(drafts: Sequence[Draft]) -> None:
    """Report the events that the manifests lack: one line for each event and reason."""
    from reconciler.text.counts import name_some

    lacking: dict[tuple[str, str], list[str]] = defaultdict(list)
    for draft in drafts:
        for event, why in draft.missing.items():
            lacking[event, why].append(draft.environment)
    for (name, reason), names in lacking.items():
        warn(f"{name} is left out of {name_some(names)}: {reason}")


def _report_next(written: Sequence[Draft], secrets_out: str | None) -> None:
    from reconciler.text.counts import counted

    if not written:
        return
    say(f"wrote {counted(len(written), 'manifest')}")
    if secrets_out is not None:
        shown = for_terminal(secrets_out)
        say(f"the secrets are in {shown}, which only you may read: keep it out of git, and set secrets_file to it")
    names = written[0].environment if len(written) == 1 else "-e '*'"
    say(
        f"next: `reconciler validate` asks for the events that were left out; then `reconciler state adopt {names}` "
        "records what Plug holds, without a PUT"
    )
