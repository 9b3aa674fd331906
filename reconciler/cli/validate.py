from __future__ import annotations

import click

from reconciler.cli.exitcode import ExitCode
from reconciler.cli.options import Form, environments_option, format_option, settings_options
from reconciler.cli.render import show_validation
from reconciler.cli.session import Session
from reconciler.core.selection import select
from reconciler.errors import InputError
from reconciler.model import Problem


@click.command()
@format_option
@environments_option
@settings_options
def validate(session: Session, form: Form, globs: tuple[str, ...]) -> int:
    """Check manifests, settings and policy.

    Offline; needs no token and no state. All faults of all files are reported in one run, whatever -e selects.

    \b
    Example:
      reconciler validate
      reconciler validate --format json | jq '.errors[].message'
    """
    warnings: tuple[Problem, ...] = ()
    environments = None
    try:
        tree = session.tree
        session.find_store()  # which is not opened: that may take an extra of the package
        changed = session.credentials.find_changed_secrets(tree.desired)
        warnings = (*session.secret_files.problems, *tree.warnings, *changed)
        errors, environments = tree.errors, tree.count_right()
        if globs and not errors:
            select(globs, tree.names)
    except InputError as error:
        errors = error.problems or (Problem.of("", str(error)),)
    show_validation(errors, warnings, environments, form, session)
    return ExitCode.INVALID_INPUT if errors else ExitCode.DONE
