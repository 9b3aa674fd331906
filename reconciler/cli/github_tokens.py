from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from reconciler.cli.completion import complete_folders
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.options import file_option
from reconciler.cli.output import say, write
from reconciler.core.workflow.names import FLEET_ENVIRONMENT
from reconciler.core.workflow.split import (
    MAX_SECRET_BYTES,
    MAX_SECRETS,
    FileSizes,
    find_fitting,
    find_largest_part,
    fits,
)
from reconciler.errors import InputError
from reconciler.plug.split_files import SplitSecret
from reconciler.text.counts import environments, number
from reconciler.text.escape import for_terminal

DEFAULT_FOLDER = ".reconciler/secrets"  # .reconciler/ is in the .gitignore that init writes


@click.command("tokens")
@click.option(
    "--split", "parts", type=click.IntRange(1, MAX_SECRETS), required=True, metavar="N", help="The number of parts."
)
@file_option("--tokens", "tokens_file", required=True, help="YAML or JSON: environment to token.")
@file_option("--secrets", "secrets_file", help="YAML or JSON: name to value, or environment to name to value.")
@click.option(
    "--out",
    "folder",
    metavar="FOLDER",
    default=DEFAULT_FOLDER,
    show_default=True,
    shell_complete=complete_folders,
    help="The folder for the parts.",
)
def split_command(parts: int, tokens_file: str, secrets_file: str | None, folder: str) -> int:
    """Split a fleet's tokens into secrets for GitHub.

    Writes PLUG_TOKENS_1 to PLUG_TOKENS_N, and PLUG_SECRETS_1 to PLUG_SECRETS_N, for a fleet whose tokens don't fit
    into one secret of 48 KB. Part I has the environments of --shard I/N. The files have mode 600, and none is
    overwritten. Prints the commands that store them; remove the files afterwards.

    \b
    Example:
      reconciler github tokens --split 2 --tokens tokens.yaml
    """
    from reconciler.plug.credentials import read_secret_files
    from reconciler.plug.split_files import measure_secrets, measure_tokens, split_secrets, split_tokens

    files = read_secret_files(tokens_file, secrets_file, Path())
    if files.problems:
        raise InputError(problems=files.problems)
    made, sizes = split_tokens(files.tokens, parts), [measure_tokens(files.tokens)]
    if secrets_file is not None:
        made += split_secrets(files.secrets, parts)
        sizes.append(measure_secrets(files.secrets))
    _refuse_misfit(sizes, parts)
    _write_all(Path(folder), made)
    width = max(len(one.name) for one in made)
    write(
        "\n".join(
            f"wrote  {for_terminal(folder)}/{one.name:<{width}}  {environments(one.environments)}, "
            f"{number(len(one.data))} bytes"
            for one in made
        )
    )
    say(_describe_next(made, folder, parts))
    return ExitCode.DONE


def _refuse_misfit(sizes: Sequence[FileSizes], parts: int) -> None:
    """Raise InputError if GitHub takes no such secrets, with a number of parts that fits."""
    too_many = parts * len(sizes) > MAX_SECRETS
    if not too_many and fits(sizes, parts):
        return
    if too_many:
        fitting = find_fitting(sizes, 0)
        message = f"{parts} parts of {len(sizes)} files are more than the {MAX_SECRETS} secrets of a GitHub Environment"
    else:
        fitting = find_fitting(sizes, parts)
        largest = max(find_largest_part(file, parts) for file in sizes)
        message = f"the largest part would have {number(largest)} bytes, and GitHub takes {number(MAX_SECRET_BYTES)}"
    hint = "no number of parts fits: let a step of the workflow fetch the file"
    if fitting is not None:
        hint = f"--split {fitting} fits"
    raise InputError.of("--split", message, hint)


def _write_all(folder: Path, made: Sequence[SplitSecret]) -> None:
    """Write all files, or none. Raises InputError if one exists, or can't be written."""
    from reconciler.io.files import write_new

    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for one in made:
            write_new(folder / one.name, one.data, mode=0o600)
            written.append(folder / one.name)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        reason = "exists" if isinstance(error, FileExistsError) else f"can't be written: {error.strerror}"
        hint = "nothing was written: remove it, or name another folder"
        raise InputError.of("--out", f"{error.filename or folder} {reason}", hint) from error


def _describe_next(made: Sequence[SplitSecret], folder: str, parts: int) -> str:
    where = shlex.quote(folder)
    lines = [f"  gh secret set {one.name} --env {FLEET_ENVIRONMENT} < {where}/{one.name}" for one in made]
    return "\n".join(
        (
            "store them, in a checkout of the repository:",
            *map(for_terminal, lines),
            "  gh variable set PLUG_TOKENS_FROM --body secret",
            f"  gh variable set PLUG_SHARDS --body {parts}",
            for_terminal(f"  rm {where}/PLUG_*"),
        )
    )
