from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import click

from reconciler.cli.commands import SettingsCommand
from reconciler.cli.exitcode import ExitCode
from reconciler.cli.options import Form, environments_option, plain_format_option, settings_options
from reconciler.cli.render import show_doctor
from reconciler.cli.session import Session
from reconciler.core.selection import select
from reconciler.core.where import find_scheme
from reconciler.errors import InputError
from reconciler.manifests.merged import Tree
from reconciler.model import Area, Desired, Item, ItemState, Problem
from reconciler.text.counts import counted, environments


@click.command(cls=SettingsCommand)
@click.option("--github", is_flag=True, help="Also read the repository on GitHub, with the token in GITHUB_TOKEN.")
@plain_format_option
@environments_option
@settings_options
def doctor(session: Session, form: Form, globs: tuple[str, ...], github: bool) -> int:
    """Show what is set up, and what is missing.

    Looks at settings, manifests, state, git, tokens and secrets; with --github also at GitHub Environments, secrets
    by name, variables, the required check, the rules of the state's branch, the workflows and their actions. Nothing
    is written, and nothing is sent to Plug. Exits 1 where something is missing or wrong.

    \b
    Example:
      reconciler doctor
    """
    items = list(_find_items(session, globs, github=github))
    order = list(Area)
    items.sort(key=lambda item: order.index(item.area))
    show_doctor(items, form, session)
    return ExitCode.NOT_APPLIED if any(item.fails for item in items) else ExitCode.DONE


def _find_items(session: Session, globs: tuple[str, ...], *, github: bool) -> Iterator[Item]:
    """Yield all items, each area after the one that it needs. Raises InputError if a glob matches nothing."""
    try:
        settings = session.settings
    except InputError as error:
        yield from _of_problems(Area.SETTINGS, error)
        yield Item(Area.MANIFESTS, "everything else", ItemState.UNKNOWN, "the settings come first")
        return
    file = session.settings_file
    message = "read" if file else "no reconciler.toml: every setting has its default, its variable or its flag"
    yield Item(Area.SETTINGS, file or "defaults", ItemState.OK, message)
    yield from _look_at_git(session, needed=find_scheme(settings.state) == "git")
    yield from _of_problem_list(Area.TOKENS, session.secret_files.tokens_problems)
    yield from _of_problem_list(Area.SECRETS, session.secret_files.secrets_problems)
    try:
        tree = session.tree
    except InputError as error:
        yield from _of_problems(Area.MANIFESTS, error)
        tree = Tree((), (), (), frozenset())
    else:
        yield from _look_at_manifests(tree)
    selected = select(globs, tree.names)
    yield from _look_at_network(session, [one for one in tree.desired if one.environment in selected])
    yield from _look_at_state(session, tree.desired, selected)
    if github:
        from reconciler.cli.doctor_github import look_at_github

        chosen = [one for one in tree.desired if one.environment in selected]
        yield from look_at_github(session, chosen)


def _look_at_git(session: Session, *, needed: bool) -> Iterator[Item]:
    from reconciler.io.git.command import GitUnusable, read_version

    try:
        yield Item(Area.GIT, "git", ItemState.OK, read_version(session.environ))
    except GitUnusable as error:
        if needed:
            yield Item(Area.GIT, "git", ItemState.MISSING, str(error))
        else:
            yield Item(Area.GIT, "git", ItemState.OK, f"not usable, and not needed: {error}")


def _look_at_manifests(tree: Tree) -> Iterator[Item]:
    if not tree.errors:
        warned = f", {counted(sum(one.stands_for for one in tree.warnings), 'warning')}" if tree.warnings else ""
        hint = "reconciler validate" if tree.warnings else ""
        yield Item(Area.MANIFESTS, "manifests", ItemState.OK, environments(tree.count_right()) + warned, hint)
    yield from _of_problem_list(Area.MANIFESTS, tree.errors)


def _look_at_network(session: Session, desired: Sequence[Desired]) -> Iterator[Item]:
    """Yield the items of the variables for TLS and proxies: apply refuses a wrong one before it sends anything."""
    from reconciler.io.http.proxy import find_proxy
    from reconciler.io.http.tls import make_tls_context

    urls = {one.endpoint for one in desired}
    urls |= {one.partner_base_url for one in desired if one.account_id is not None and one.partner_base_url}
    try:
        make_tls_context()
    except InputError as error:
        yield from _of_problems(Area.SETTINGS, error)
    try:
        proxies = {proxy.variable: proxy for url in sorted(urls) if (proxy := find_proxy(url, session.environ))}
    except InputError as error:
        yield from _of_problems(Area.SETTINGS, error)
        return
    for variable, proxy in proxies.items():
        yield Item(Area.SETTINGS, variable, ItemState.OK, f"requests to Plug go through the proxy {proxy.address}")


def _look_at_state(session: Session, desired: Iterable[Desired], selected: Collection[str]) -> Iterator[Item]:
    """Yield the items of the state, and of the tokens and secrets, which are compared with it."""
    from reconciler.run.doctor_local import (
        StateReport,
        TokenQuestion,
        report_partner,
        report_secrets,
        report_state,
        report_tokens,
    )

    settings, wanted = session.settings, tuple(desired)
    try:
        report = report_state(session.store, settings.state)
    except InputError as error:
        report = StateReport(list(_of_problems(Area.STATE, error)))
    yield from report.items
    chosen = [one for one in wanted if one.environment in selected]
    question = TokenQuestion(wanted, report.heads, session.clock.now(), settings.token_warning)
    yield from report_tokens(selected, question, session.credentials)
    yield from report_secrets(chosen, session.credentials)
    yield report_partner(chosen, settings.partner.token_env, settings.api.allowed_hosts, session.credentials)


def _of_problems(area: Area, error: InputError) -> Iterator[Item]:
    return _of_problem_list(area, error.problems or (Problem.of("", str(error)),))


def _of_problem_list(area: Area, problems: Iterable[Problem]) -> Iterator[Item]:
    for problem in problems:
        place, key = problem.where, problem.key
        name = f"{place} {key}".strip() or area.value
        yield Item(area, name, ItemState.WRONG, problem.message, problem.hint)
