"""Import companies that exist, up to the first plan: only reads are sent, and no secret is shown.

See docs/contract.md#commands.
"""

from __future__ import annotations

import stat

import pytest
from msgspec.structs import replace

from reconciler.model import EVENTS, Event
from tests.acceptance.conftest import HOST, Cli, canary, only

SEEN = [event for event in EVENTS if event not in (Event.WHEN_DISCONNECTING, Event.MESSAGE_DELIVERY_ERROR)]
BY_HAND = f"https://{HOST}/by-hand"


@pytest.fixture
def companies(cli: Cli) -> Cli:
    """Set up `loja` and `matriz` in the dashboard with a secret each; the account `2-lost` doesn't exist."""
    cli.environ["PLUG_PARTNER_TOKEN"] = canary("partner")
    cli.environ["RECONCILER_PARTNER__BASE_URL"] = cli.sandbox.base_url
    accounts = {}
    for name in ("loja", "matriz"):
        secret = canary("live")
        cli.canaries.add(secret)
        token = cli.environ[cli.token_env(name)] = canary()
        accounts[f"1-{name}"] = token
        urls: dict[Event, str | None] = {event: f"https://{HOST}/{name}/{event}?key={secret}&v=2" for event in SEEN}
        urls[Event.MESSAGE_STATUS] = f"https://{HOST}/{{x}}/{secret}"
        urls[Event.WHEN_DISCONNECTING] = BY_HAND
        cli.sandbox.plug.edit(token, urls)
    cli.sandbox.plug.options = replace(
        cli.sandbox.plug.options, accounts=accounts, partner_tokens=frozenset({cli.environ["PLUG_PARTNER_TOKEN"]})
    )
    cli.planted.add(cli.folder / "secrets.yaml")
    return cli


def files(cli: Cli) -> list[str]:
    return sorted(path.relative_to(cli.folder).as_posix() for path in cli.folder.rglob("*") if path.is_file())


def csv(cli: Cli, *rows: str, more: str = "") -> None:
    cli.write("c.csv", "\n".join([f"environment,account_id{more}", *rows, ""]))


def test_an_imported_company_is_completed_and_adopted_to_a_noop(companies: Cli) -> None:
    """`validate` asks for what Plug never shows; no PUT is sent, and only the named files are written."""
    requests = companies.sandbox.plug.requests
    given = ("import", "--account-id", "1-loja", "-e", "loja", "--plain", "v=.*")
    ran = companies.run(*given, code=3)
    assert (ran.out, files(companies)) == ("", [])
    assert "--secrets-out" in ran.err
    ran = companies.run(*given, "--secrets-out", "secrets.yaml", "-vv", code=0)
    assert ran.out == "wrote  manifests/loja.yaml\n"
    assert "whenDisconnecting is left out of loja: the partner API never shows it" in ran.err
    assert files(companies) == ["manifests/loja.yaml", "secrets.yaml"]
    assert stat.S_IMODE((companies.folder / "secrets.yaml").stat().st_mode) == 0o600
    manifest = companies.folder / "manifests/loja.yaml"
    text = manifest.read_text()
    assert f"receiveMessage: https://{HOST}/loja/receiveMessage?key={{secret:PLUG_SECRET_KEY}}&v=2\n" in text
    assert f"messageStatus: https://{HOST}/{{{{x}}}}/{{secret:PLUG_SECRET_KEY}}\n" in text
    error = only(companies.run("validate", "--format", "json", code=3).json["errors"])
    assert "lacks 2 of the seven events: messageDeliveryError, whenDisconnecting" in error["message"]
    with manifest.open("a") as file:
        file.write(f"  messageDeliveryError: {BY_HAND}\n  whenDisconnecting: {BY_HAND}\n")
    adopt = ("state", "adopt", "loja", "--yes")
    ran = companies.run(*adopt, code=3)  # The secrets are not available, so nothing can be compared.
    assert "was not compared" in ran.err
    companies.environ["RECONCILER_SECRETS_FILE"] = "secrets.yaml"
    ran = companies.run(*adopt, code=0)
    assert "not seen of loja: whenDisconnecting: the partner API never shows it" in ran.err
    assert companies.document("loja")["applied"]["adopted"] is True
    plan = companies.run("plan", "--observe", "--detailed-exitcode", "--format", "json", code=0).json
    assert [(one["action"], one["unchecked"]) for one in plan["environments"]] == [("noop", [])]
    assert companies.sandbox.plug.requests == requests


def test_a_row_that_cannot_be_read_is_named_and_the_others_are_written(companies: Cli) -> None:
    """Existing files are kept and named; a second run continues where the first ended."""
    csv(companies, "loja,1-loja", "lost,2-lost", "matriz,1-matriz")
    ran = companies.run("import", "--csv", "c.csv", "--folder", "sul", "--secrets-out", "secrets.yaml", code=1)
    assert ran.out == "wrote  manifests/sul/loja.yaml\nwrote  manifests/sul/matriz.yaml\n"
    assert "error: c.csv:3:2: account_id: lost was not read: 404" in ran.err
    before = (companies.folder / "manifests/sul/loja.yaml").read_bytes()
    ran = companies.run("import", "--csv", "c.csv", "--folder", "sul", "-e", "loja", code=0)
    assert ran.out == "left   manifests/sul/loja.yaml: it exists\n"
    ran = companies.run("import", "--csv", "c.csv", "-e", "[lm]oja", code=0)
    assert ran.out == "left   manifests/loja.yaml: another file is the manifest of this environment\n"
    ran = companies.run("import", "--csv", "c.csv", "-e", "x*", code=3)
    assert (companies.folder / "manifests/sul/loja.yaml").read_bytes() == before


def test_nothing_is_written_if_anything_is_wrong(companies: Cli) -> None:
    """A row, a flag, the path of the secrets, a missing token: exit 3, and stdout is empty."""
    csv(companies, "loja,1-loja,", "Matriz,1-matriz,http://x", more=",webhooks.messageStatus")
    companies.write("secrets.yaml", "mine")
    before = files(companies)
    ran = companies.run("import", "--csv", "c.csv", "--secrets-out", "s", code=3)
    assert [line.split(": ")[1] for line in ran.err.splitlines()] == ["c.csv:3:1", "c.csv:3:3"]
    csv(companies, "loja,1-loja")
    for arguments in (
        ("--csv", "c.csv"),
        ("--csv", "c.csv", "--secrets-out", "secrets.yaml"),
        ("--csv", "c.csv", "--secrets-out", "manifests/secrets.yaml"),
        ("--csv", "c.csv", "--secrets-out", "nowhere/secrets.yaml"),
        ("--csv", "c.csv", "--secrets-out", "s", "--folder", "../x"),
        ("--csv", "c.csv", "--secrets-out", "s", "--folder", "_x"),
        ("--csv", "c.csv", "--secrets-out", "s", "--plain", "("),
        ("--csv", "missing.csv", "--secrets-out", "s"),
        ("--csv", "c.csv", "--account-id", "1-loja", "-e", "loja"),
        ("--account-id", "1-loja", "--secrets-out", "s"),
        ("--account-id", "1-loja", "-e", "a", "-e", "b", "--secrets-out", "s"),
        ("--secrets-out", "s"),
    ):
        assert companies.run("import", *arguments, code=3).out == ""
    ran = companies.run("import", "--csv", "c.csv", "--secrets-out", "s", code=3, env={"PLUG_PARTNER_TOKEN": None})
    assert "there is no partner token in PLUG_PARTNER_TOKEN, and import reads 1 account with it" in ran.err
    assert files(companies) == before


def test_a_difference_is_not_adopted_and_the_others_of_a_glob_are(companies: Cli) -> None:
    """The event is named, masked; also if the user confirms what can't be read."""
    events = ",".join(f"webhooks.{event}" for event in EVENTS)
    urls = ",".join(f"https://{HOST}/{{environment}}/{event}" for event in EVENTS)
    csv(companies, f"loja,1-loja,{urls}", f"nova,1-nova,{urls}", f"sem,,{urls}", more=f",{events}")
    companies.run("import", "--csv", "c.csv", code=0)
    ran = companies.run("state", "adopt", "loja", "--unverified", "--yes", code=3)
    assert "manifests/loja.yaml:5:" in ran.err
    assert (
        f"webhooks.finishAttendance: Plug holds https://{HOST}/loja/finishAttendance?key=…&v=…, which is not" in ran.err
    )
    assert companies.state_bytes() == {}
    companies.environ[companies.token_env("nova")] = token = canary()
    options = companies.sandbox.plug.options
    companies.sandbox.plug.options = replace(options, accounts={**options.accounts, "1-nova": token})
    companies.sandbox.plug.edit(token, {event: f"https://{HOST}/nova/{event}" for event in EVENTS})
    ran = companies.run("state", "adopt", "-e", "*", "--yes", code=1)
    assert "what Plug holds of sem was not read: its manifest has no account_id" in ran.err
    assert companies.state_bytes().keys() == {"nova.json"}
    ran = companies.run("state", "adopt", "-e", "[ns]*", "--yes", "--unverified", code=0)
    assert "nothing to adopt in 1 environment: recorded already" in ran.err
    assert companies.state_bytes().keys() == {"nova.json", "sem.json"}
    assert "choose some with -e GLOB" in companies.run("state", "adopt", "--yes", code=3).err
