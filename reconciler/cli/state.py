from __future__ import annotations

from contextlib import closing

import click

from reconciler.cli.adopting import record_all, refuse_if_none, review_all, show_review
from reconciler.cli.commands import CommandGroup
from reconciler.cli.completion import complete_environments, complete_folders
from reconciler.cli.confirm import confirm
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.options import (
    Command,
    Form,
    Selection,
    environments_option,
    selection_options,
    settings_options,
    state_format_option,
    yes_option,
)
from reconciler.cli.output import say, say_lines
from reconciler.cli.progress import watch_state
from reconciler.cli.render import show_document, show_history, show_state_list
from reconciler.cli.session import Session
from reconciler.core.selection import select
from reconciler.errors import Corrupt, InputError, SeveralUnreadable
from reconciler.run.state_edits import (
    check_rename,
    find_stored,
    forget_unread,
    read_healthy,
    refuse_live,
)
from reconciler.run.state_edits import copy as copy_state
from reconciler.run.state_edits import forget as forget_environment
from reconciler.run.state_edits import rename as rename_environment
from reconciler.run.state_edits import unlock as unlock_environment
from reconciler.text.counts import environments
from reconciler.text.escape import for_terminal


@click.group(cls=CommandGroup, proposed=("list", "show", "history"))
def state() -> None:
    """Read the applied state, and correct it by hand.

    \b
    Example:
      reconciler state list
      reconciler state show production
    """


_environment_argument = click.argument("environment", metavar="ENV", shell_complete=complete_environments)


def _reads_one(command: Command) -> Command:
    """Add the arguments of a command that shows one environment."""
    return _environment_argument(state_format_option(environments_option(settings_options(command))))


def _changes_one(command: Command) -> Command:
    """Add the arguments of a command that changes one environment's state, and asks first."""
    return _environment_argument(yes_option(environments_option(settings_options(command))))


@state.command("list")
@state_format_option
@selection_options
@settings_options
def list_(session: Session, form: Form, selection: Selection) -> int:
    """List the environments in the state, and which are in doubt.

    A document that can't be read is an error beside the list of the others.

    \b
    Example:
      reconciler state list
      reconciler state list -e 'staging*'
    """
    with watch_state("reading the state"):
        names = session.store.names()
        wanted = sorted(select(selection.globs, names, selection.shard))
        stored, faults = read_healthy(session.store, wanted)
    documents = [one.document for _, one in sorted(stored.items())]
    show_state_list(documents, session.clock.now(), form, session, unread=len(faults))
    if faults:
        raise faults[0] if len(faults) == 1 else SeveralUnreadable(faults)
    if not names:
        # an empty state looks the same as a typo in `state`, or as the wrong working directory
        say(f"looked in {for_terminal(session.settings.state)}; is that the state you mean? `--state` names another")
    return ExitCode.DONE


@state.command()
@_reads_one
def show(session: Session, environment: str, form: Form, globs: tuple[str, ...]) -> int:
    """Show the whole state of one environment. With --format json: the document as it is stored.

    \b
    Example:
      reconciler state show production
    """
    select(globs, [environment])
    document = find_stored(session.store, environment).document
    show_document(document, session.clock.now(), form, session)
    return ExitCode.DONE


@state.command()
@_reads_one
def history(session: Session, environment: str, form: Form, globs: tuple[str, ...]) -> int:
    """Show the last ten applied records of an environment.

    Newest first, with what each changed.

    \b
    Example:
      reconciler state history production
    """
    select(globs, [environment])
    document = find_stored(session.store, environment).document
    show_history(document, form, session)
    return ExitCode.DONE


@state.command()
@click.argument("environment", metavar="[ENV]", required=False, shell_complete=complete_environments)
@click.option("--unverified", is_flag=True, help="Also what can't be read: you say that Plug holds it.")
@yes_option
@environments_option
@settings_options
def adopt(session: Session, environment: str | None, unverified: bool, yes: bool, globs: tuple[str, ...]) -> int:
    """Record the desired webhooks as applied, without a PUT.

    Reads what Plug holds where account_id is set, and refuses what differs from the manifest. What can't be read needs
    --unverified: you confirm that Plug holds exactly what the manifest says. This ends doubt.

    \b
    Example:
      reconciler state adopt production --unverified
      reconciler state adopt -e 'stag*'
    """
    if environment is None and not globs:
        raise click.UsageError("name an environment, or choose some with -e GLOB; -e '*' is all of them")
    known = [one.environment for one in session.desired] if environment is None else [environment]
    names = select(globs, known)
    review = review_all(session, names, unverified=unverified, skip_recorded=environment is None)
    refuse_if_none(review)
    show_review(review)
    if not review.adoptions:
        return ExitCode.DONE
    what = f"manifest of {environment}" if environment else f"manifests of {environments(len(review.adoptions))}"
    confirm(f"Record the {for_terminal(what)} as applied, without a PUT?", yes=yes)
    return record_all(session, review)


@state.command()
@_changes_one
def forget(session: Session, environment: str, yes: bool, globs: tuple[str, ...]) -> int:
    """Drop an environment from the state. Its webhooks in Plug stay as they are.

    Takes a corrupt document too, unread; one that a newer version wrote is refused.

    \b
    Example:
      reconciler state forget staging
    """
    select(globs, [environment])
    stays = "Its webhooks in Plug stay as they are"
    try:
        stored = find_stored(session.store, environment)
    except Corrupt as fault:
        if fault.version is None:
            raise
        say_lines(str(fault), label="warning")
        unread = (
            f"Drop the document of {for_terminal(environment)} unread, and what it remembers? No run may use it now"
        )
        confirm(f"{unread}. {stays}", yes=yes)
        forget_unread(session.store, environment, fault.version)
    else:
        refuse_live(stored, session.clock.now(), doing="forget")
        confirm(f"Drop {for_terminal(environment)} from the state? {stays}", yes=yes)
        forget_environment(session.store, stored, session.clock.now())
    say(f"forgotten: {for_terminal(environment)} is no longer in the state")
    return ExitCode.DONE


@state.command()
@_changes_one
def unlock(session: Session, environment: str, yes: bool, globs: tuple[str, ...]) -> int:
    """Release a dead run's lease. The intent stays, in doubt: the next apply sends the webhooks again.

    \b
    Example:
      reconciler state unlock production
    """
    select(globs, [environment])
    stored = find_stored(session.store, environment)
    intent = stored.document.intent
    if intent is None or intent.lease_until is None:
        say(f"{for_terminal(environment)}: no run holds a lease")
        return ExitCode.DONE
    holder = for_terminal(intent.by.actor or "the run")
    confirm(f"Release the lease of {holder} on {for_terminal(environment)}? Only if that run is dead", yes=yes)
    unlock_environment(session.store, stored)
    say(f"unlocked: {for_terminal(environment)} is in doubt; the next apply sends its webhooks again")
    return ExitCode.DONE


@state.command()
@click.argument("old", metavar="OLD", shell_complete=complete_environments)
@click.argument("new", metavar="NEW", shell_complete=complete_environments)
@yes_option
@settings_options
def rename(session: Session, old: str, new: str, yes: bool) -> int:
    """Carry the memory of an environment over to its new name.

    Rename the environment in the manifests first. Nothing is sent to Plug.

    \b
    Example:
      reconciler state rename staging homologacao
    """
    from reconciler.core.portable import is_environment_name

    if not is_environment_name(new):
        hint = "write up to 63 characters of a-z, 0-9, '.', '_' and '-'; begin with a letter or digit"
        raise InputError.of("NEW", f"{new!r} is not a valid name of an environment", hint)
    if not session.tree.names:  # a folder that can't be read has no names, which doesn't mean that OLD is gone
        raise InputError(problems=session.tree.errors)
    renaming = check_rename(session.store, (old, new), session.tree.names, session.clock.now())
    confirm(f"Carry the state of {for_terminal(old)} over to {for_terminal(new)}?", yes=yes)
    rename_environment(session.store, renaming)
    say(f"renamed: the state of {for_terminal(old)} is now that of {for_terminal(new)}")
    return ExitCode.DONE


@state.command()
@click.argument("source", metavar="FROM", shell_complete=complete_folders)
@click.argument("target", metavar="TO", shell_complete=complete_folders)
@yes_option
@settings_options
def copy(session: Session, source: str, target: str, yes: bool) -> int:
    """Copy the whole state from one store to another.

    For example from a folder to a branch. TO must be empty, or hold what an earlier copy left there, and no run may use
    FROM. FROM is not changed: change the `state` setting afterwards, and make sure that no run uses the old one.

    \b
    Example:
      reconciler state copy .reconciler/state git:origin/reconciler-state
    """
    from reconciler.state.open import open_store

    with (
        closing(open_store(source, session.folder)) as old,
        closing(open_store(target, session.folder)) as new,
    ):
        names = old.names()
        if not names:
            raise InputError.of("FROM", f"{source} holds no state", "name the store that is used now")
        confirm(f"Copy the state of {environments(len(names))} to {for_terminal(target)}?", yes=yes)
        with watch_state("copying the state"):
            count = copy_state(old, new, session.clock.now())
    say(f"copied: {environments(count)}. Now set `state` to {for_terminal(target)}, for every run")
    return ExitCode.DONE
