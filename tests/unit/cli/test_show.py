"""`show`: one environment, with the source of each value."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.acceptance.conftest import Cli
from tests.fuzz.hostile import drive

DEFAULTS = """\
token_env: PLUG_TOKEN_SHARED
vars:
  host: hooks.acme.com.br
  unread: nobody.names.this
webhooks:
  finishAttendance: https://{host}/{environment}/finish
  startAttendance: https://{host}/start
  receiveMessage: https://{host}/receive?key={secret:PLUG_SECRET_A}
  sendingMessage: https://{host}/{{literal}}
  messageDeliveryError: https://{host}/error
  messageStatus: https://{host}/status
"""
NEARER = """\
wave: 3
vars: {host: other.acme.com.br}
"""
MANIFEST = """\
description: Matriz
webhooks:
  whenDisconnecting: https://fixed.acme.com.br/gone
api:
  auth_scheme: bearer
"""


@pytest.fixture
def fleet(cli: Cli) -> Cli:
    cli.write("manifests/_defaults.yaml", DEFAULTS)
    cli.write("manifests/south/_defaults.yaml", NEARER)
    cli.write("manifests/south/matriz.yaml", MANIFEST)
    cli.write("reconciler.toml", '[api]\nbody = "value"\n')
    return cli


def show_text(cli: Cli, *arguments: str) -> str:
    """Return the output, with paths as in the fleet's folder."""
    drove = drive(cli.folder, cli.environ, "show", "matriz", *arguments)
    assert drove.code == 0, drove.err
    return drove.out.replace(f"{cli.folder.as_posix()}/", "")


def show(cli: Cli, *arguments: str) -> Any:
    return json.loads(show_text(cli, "--format", "json", *arguments))


def test_each_value_has_the_place_that_won_the_merge(fleet: Cli) -> None:
    """It is the manifest, a near or a far _defaults.yaml, the settings file, a flag, or nothing."""
    shown = show(fleet, "--api-base-url", "http://127.0.0.1:8787/")
    assert (shown["format"], shown["environment"]) == ("reconciler.environment/1", "matriz")
    assert (shown["file"], shown["line"]) == ("manifests/south/matriz.yaml", 1)
    assert shown["endpoint"] == "http://127.0.0.1:8787/api/integrations/update-webhooks"
    far, near, own = ("manifests/_defaults.yaml", "manifests/south/_defaults.yaml", "manifests/south/matriz.yaml")
    values = {
        one["key"]: (one["value"], one["origin"], one["setting"], one["file"], one["line"]) for one in shown["values"]
    }
    assert values == {
        "environment": ("matriz", "file-name", None, own, None),
        "description": ("Matriz", "manifest", None, own, 1),
        "wave": (3, "manifest", None, near, 1),
        "token_env": ("PLUG_TOKEN_SHARED", "manifest", None, far, 1),
        "account_id": (None, "default", None, None, None),
        "organization_id": (None, "default", None, None, None),
        "api.base_url": ("http://127.0.0.1:8787", "setting", "--api-base-url", None, None),
        "api.auth_scheme": ("bearer", "manifest", None, own, 5),
        "api.body": ("value", "setting", "api.body", "reconciler.toml", None),
    }
    assert shown["vars"] == [
        {"name": "host", "value": "other.acme.com.br", "used": True, "file": near, "line": 2},
        {"name": "unread", "value": "nobody.names.this", "used": False, "file": far, "line": 4},
    ]


def test_each_webhook_is_shown_as_it_is_sent_and_as_it_is_written(fleet: Cli) -> None:
    """A secret is shown by its name, and a literal brace doubled, as in a plan."""
    webhooks = {one["event"]: one for one in show(fleet)["webhooks"]}
    assert webhooks["receiveMessage"] == {
        "event": "receiveMessage",
        "url": "https://other.acme.com.br/receive?key={secret:PLUG_SECRET_A}",
        "written": "https://{host}/receive?key={secret:PLUG_SECRET_A}",
        "vars": ["host"],
        "secrets": ["PLUG_SECRET_A"],
        "file": "manifests/_defaults.yaml",
        "line": 8,
    }
    assert webhooks["finishAttendance"]["url"] == "https://other.acme.com.br/matriz/finish"
    assert webhooks["sendingMessage"]["url"] == "https://other.acme.com.br/{{literal}}"
    assert webhooks["whenDisconnecting"]["file"] == "manifests/south/matriz.yaml"
    assert len(webhooks) == 7


def test_the_text_has_a_place_beside_each_value(fleet: Cli) -> None:
    lines = [" ".join(line.split()) for line in show_text(fleet).splitlines()]
    assert "wave manifests/south/_defaults.yaml:1 3" in lines
    assert "api.body reconciler.toml: api.body value" in lines
    assert "environment the file's name matriz" in lines
    assert "account_id not given -" in lines
    assert "unread manifests/_defaults.yaml:4 (not used) nobody.names.this" in lines
    at = lines.index("finishAttendance manifests/_defaults.yaml:6")
    assert lines[at + 1 : at + 3] == [
        "https://other.acme.com.br/matriz/finish",
        "written as https://{host}/{environment}/finish",
    ]


def test_an_unknown_environment_gets_a_proposal(fleet: Cli) -> None:
    """Usage errors exit with 3, and stdout stays empty."""
    drove = drive(fleet.folder, fleet.environ, "show", "matrix")
    assert (drove.code, drove.out) == (3, "")
    assert drove.err == "error: ENV: unknown environment 'matrix' (did you mean matriz?)\n"


def test_manifests_with_an_error_are_reported_instead(fleet: Cli) -> None:
    fleet.write("manifests/broken.yaml", "wave: '1'\n")
    drove = drive(fleet.folder, fleet.environ, "show", "matriz")
    assert (drove.code, drove.out) == (3, "")
    assert "manifests/broken.yaml:1:7: wave" in drove.err
