"""`reconciler sandbox`: a stand-in Plug on loopback (docs/contract.md#sandbox)."""

from __future__ import annotations

import math
from typing import Any

import click

from reconciler.model import BodyForm

DEFAULT_PORT = 8787
BOTH = "both"  # forms of a body


def _check_finite(_context: click.Context, /, _parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not math.isfinite(value):
        raise click.BadParameter("write a finite number")
    return value


def _check_tokens(_context: click.Context, /, _parameter: click.Parameter, value: tuple[str, ...]) -> frozenset[str]:
    if not all(_is_token(token) for token in value):
        raise click.BadParameter("a token is one or more visible ASCII characters, without white space")
    return frozenset(value)


def _check_accounts(_context: click.Context, /, _parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    accounts: dict[str, str] = {}
    for item in value:
        account_id, _, token = item.partition("=")
        if not account_id or not _is_token(token):
            raise click.BadParameter("write ID=TOKEN, as in 32133-31232=made-up-token")
        if account_id in accounts:
            raise click.BadParameter("an account id is given twice")
        accounts[account_id] = token
    return accounts


def _find_forms(_context: click.Context, /, _parameter: click.Parameter, value: str) -> frozenset[BodyForm]:
    return frozenset(BodyForm) if value == BOTH else frozenset({BodyForm(value)})


def _is_token(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token


@click.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port on 127.0.0.1; 0 takes any free one.",
)
@click.option(
    "--token",
    "tokens",
    multiple=True,
    metavar="T",
    callback=_check_tokens,
    help="A valid token; repeatable. Without it any non-empty token is valid.",
)
@click.option(
    "--account",
    "accounts",
    multiple=True,
    metavar="ID=TOKEN",
    callback=_check_accounts,
    help="Show the configuration of TOKEN at /integrator/account/ID/; repeatable.",
)
@click.option(
    "--partner-token",
    "partner_tokens",
    multiple=True,
    metavar="T",
    callback=_check_tokens,
    help="A valid partner token; repeatable. Without it any non-empty one is valid.",
)
@click.option(
    "--body",
    "body_forms",
    type=click.Choice((*(form.value for form in BodyForm), BOTH)),
    default=BOTH,
    show_default=True,
    callback=_find_forms,
    help="Where it takes the seven webhooks: at the top level of the body, in an object `value`, or in both.",
)
@click.option(
    "--ignore-other-form",
    is_flag=True,
    help="Answer 200 to a body in the other form and change nothing, as a deployment may. Else it is refused: 400.",
)
@click.option(
    "--latency",
    "latency_s",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="S",
    callback=_check_finite,
    help="Seconds until a PUT takes effect.",
)
@click.option(
    "--failure-rate",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="P",
    callback=_check_finite,
    help="Share of PUTs answered with 500 or 503 and not done, 0 to 1.",
)
@click.option(
    "--rate-limit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    callback=_check_finite,
    help="PUTs a second; more are answered with 429 and Retry-After.",
)
@click.option(
    "--lost-answers",
    type=click.FloatRange(0, 1),
    default=0.0,
    metavar="P",
    callback=_check_finite,
    help="Share of PUTs that are done and never answered, 0 to 1.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    metavar="N",
    help="The same seed gives the same failures and lost answers again.",
)
def sandbox(**options: Any) -> None:
    """Serve a stand-in for Plug on loopback, to try things out.

    No company is needed. The first line on stdout is its base URL. It keeps everything in memory, sends nothing
    to other machines, and ends with Ctrl-C. Use made-up tokens: a command line is visible to others.

    \b
    Example:
      reconciler sandbox --port 8787 --account 32133-31232=made-up &
      PLUG_TOKEN_STAGING=made-up PLUG_SECRET_RECEIVE=made-up reconciler apply -e staging \\
          --api-base-url http://127.0.0.1:8787 --state /tmp/state

    \b
    Beside the PUT of Plug:
      GET  /integrator/account/ID/                        as a partner sees the account
      POST /_sandbox/edit    {"token", "webhooks": {…}}   as a user in the dashboard
      POST /_sandbox/deliver {"token", "event"}           call the registered receiver
      POST /_sandbox/show    {"token"}                    all seven webhooks
    """
    from reconciler.sandbox.plug import Options
    from reconciler.sandbox.server import run

    click.get_current_context().exit(run(Options(**options), announce=click.echo))
