from __future__ import annotations

from typing import Any

import click

from reconciler.cli.completion import complete_environments
from reconciler.cli.confirm import confirm
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.options import (
    Command,
    Form,
    environments_option,
    settings_options,
    shard_option,
    state_format_option,
    yes_option,
)
from reconciler.cli.output import say
from reconciler.cli.render import show_document, show_history, show_state_list
from reconciler.cli.session import session_of
from reconciler.core.selection import select
from reconciler.errors import InputError
from reconciler.io.git.actor import find_by
from reconciler.model import Problem, Shard
from reconciler.run.state_edits import adopt as adopt_environment
from reconciler.run.state_edits import copy as copy_state
from reconciler.run.state_edits import find_stored, refuse_live
from reconciler.run.state_edits import forget as forget_environment
from reconciler.run.state_edits import unlock as unlock_environment
from reconciler.text.escape import for_terminal


@click.group()
def state() -> None:
    """Read the applied state, and mend it by hand.

    \b
    Example:
      reconciler state list
      reconciler state show production
    """


_environment_argument = click.argument("environment", metavar="ENV", shell_complete=complete_environments)


def _reads_one(command: Command) -> Command:
    """The arguments of what shows one environment."""
    return _environment_argument(state_format_option(environments_option(settings_options(command))))


def _changes_one(command: Command) -> Command:
    """The arguments of what mends one environment, and asks first."""
    return _environment_argument(yes_option(environments_option(settings_options(command))))


@state.command("list")
@state_format_option
@environments_option
@shard_option
@settings_options
@click.pass_context
def list_(context: click.Context, /, form: Form, globs: tuple[str, ...], shard: Shard | None, **parameters: Any) -> int:
    """Every environment in the state, and what is in doubt.

    \b
    Example:
      reconciler state list
      reconciler state list -e 'staging*'
    """
    session = session_of(context, parameters)
    names = session.store.names()
    stored = session.store.read(sorted(select(globs, names, shard)))
    documents = [one.document for _, one in sorted(stored.items())]
    show_state_list(documents, session.clock.now(), form, session)
    if not names:
        # a typo in `state`, or another folder than that of the settings, looks the same
        say(f"looked in {for_terminal(session.settings.state)}; is that the state you mean? `--state` names another")
    return ExitCode.DONE


@state.command()
@_reads_one
@click.pass_context
def show(context: click.Context, /, environment: str, form: Form, globs: tuple[str, ...], **parameters: Any) -> int:
    """One environment's state, whole. With --format json: the document as it is stored.

    \b
    Example:
      reconciler state show production
    """
    session = session_of(context, parameters)
    select(globs, [environment])
    document = find_stored(session.store, environment).document
    show_document(document, session.clock.now(), form, session)
    return ExitCode.DONE


@state.command()
@_reads_one
@click.pass_context
def history(context: click.Context, /, environment: str, form: Form, globs: tuple[str, ...], **parameters: Any) -> int:
    """The last ten applied records of an environment.

    Newest first, with what each changed.

    \b
    Example:
      reconciler state history production
    """
    session = session_of(context, parameters)
    select(globs, [environment])
    document = find_stored(session.store, environment).document
    show_history(document, form, session)
    return ExitCode.DONE


@state.command()
@_changes_one
@click.pass_context
def adopt(context: click.Context, /, environment: str, yes: bool, globs: tuple[str, ...], **parameters: Any) -> int:
    """Record the desired webhooks as applied, without a PUT.

    You vouch that Plug holds exactly what the manifest says. Ends doubt.

    \b
    Example:
      reconciler state adopt production
    """
    session = session_of(context, parameters)
    select(globs, [environment])
    desired = {one.environment: one for one in session.desired}.get(environment)
    if desired is None:
        problem = Problem.of("ENV", f"{environment!r} is in no manifest", "adopt records what a manifest wants")
        raise InputError(problems=[problem])
    malformed = session.credentials.find_malformed_tokens([desired])
    if malformed:
        raise InputError(problems=malformed)
    now = session.clock.now().replace(microsecond=0)
    stored = session.store.read([environment]).get(environment)
    refuse_live(stored, now, doing="adopt")
    confirm(f"Record the manifest of {environment} as applied, without a PUT?", yes=yes)
    fingerprint = session.credentials.fingerprint(desired)
    by = find_by(session.environ, session.folder)
    adopt_environment(session.store, desired, fingerprint, now, by)
    say(f"adopted: the state of {for_terminal(environment)} is what the manifest says")
    if fingerprint.account is None:
        say(
            f"its account is not recorded, as no token was at hand in {for_terminal(desired.token_env)}",
            label="warning",
        )
    return ExitCode.DONE


@state.command()
@_changes_one
@click.pass_context
def forget(context: click.Context, /, environment: str, yes: bool, globs: tuple[str, ...], **parameters: Any) -> int:
    """Drop an environment from the state. Plug keeps what it holds.

    \b
    Example:
      reconciler state forget staging
    """
    session = session_of(context, parameters)
    select(globs, [environment])
    stored = find_stored(session.store, environment)
    refuse_live(stored, session.clock.now(), doing="forget")
    confirm(f"Drop {for_terminal(environment)} from the state? Plug keeps what it holds", yes=yes)
    forget_environment(session.store, stored, session.clock.now())
    say(f"forgotten: {for_terminal(environment)} is no longer in the state")
    return ExitCode.DONE


@state.command()
@_changes_one
@click.pass_context
def unlock(context: click.Context, /, environment: str, yes: bool, globs: tuple[str, ...], **parameters: Any) -> int:
    """Release a dead run's lease. The intent stays, in doubt: the next apply puts again.

    \b
    Example:
      reconciler state unlock production
    """
    session = session_of(context, parameters)
    select(globs, [environment])
    stored = find_stored(session.store, environment)
    intent = stored.document.intent
    if intent is None or intent.lease_until is None:
        say(f"{for_terminal(environment)}: no run holds a lease")
        return ExitCode.DONE
    holder = for_terminal(intent.by.actor or "the run")
    confirm(f"Release the lease of {holder} on {for_terminal(environment)}? Only if that run is dead", yes=yes)
    unlock_environment(session.store, stored)
    say(f"unlocked: {for_terminal(environment)} is in doubt; the next apply puts its webhooks again")
    return ExitCode.DONE


@state.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@yes_option
@settings_options
@click.pass_context
def copy(context: click.Context, /, source: str, target: str, yes: bool, **parameters: Any) -> int:
    """Copy the whole state from one store to another.

    Say from a folder to a branch. TO must be empty, and no run may be at work on FROM. FROM is left as it is: change
    the `state` setting afterwards, and let nobody apply with the old one.

    \b
    Example:
      reconciler state copy .reconciler/state git:origin/reconciler-state
    """
    from reconciler.state.open import open_store
    from reconciler.text.counts import environments

    session = session_of(context, parameters)
    stores = [open_store(setting, session.folder) for setting in (source, target)]
    for store in stores:
        context.call_on_close(store.close)
    names = stores[0].names()
    if not names:
        problem = Problem.of("FROM", f"{source} holds no state", "name the store that is in use now")
        raise InputError(problems=[problem])
    confirm(f"Copy the state of {environments(len(names))} to {for_terminal(target)}?", yes=yes)
    count = copy_state(stores[0], stores[1], session.clock.now())
    say(f"copied: {environments(count)}. Now set `state` to {for_terminal(target)}, for everybody who applies")
    return ExitCode.DONE
