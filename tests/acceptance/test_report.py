"""`reconciler report` as a process: where the page is written, what it holds, and what it leaves out."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import HOST, Cli, only, unpack_page

EVIL = '\x1b[31m</script><script>globalThis.pwned=1</script>"><img src=x onerror=x>\u202e\n::error::x ##[group]y'


def data_of(page: str) -> Any:
    return json.loads(unpack_page(page))


def standings(page: str) -> dict[str, list[str]]:
    data = data_of(page)
    return {row[0]: [data["standings"][int(digit)][0] for digit in row[4]] for row in data["environments"]}


def test_the_page_shows_the_state_of_the_fleet(cli: Cli) -> None:
    """On stdout: in sync, drifted, never applied and orphaned, as plan and drift would say; exit 0."""
    cli.fleet("aplicada", "mudada", "antiga")
    cli.run("apply", "--yes", code=0)
    cli.manifest("mudada", version="2")
    (cli.folder / "manifests/antiga.yaml").unlink()
    cli.manifest("nova")
    before = cli.state_bytes()
    ran = cli.run("report", code=0)
    assert standings(ran.out) == {"aplicada": ["sync"], "mudada": ["drift"], "antiga": ["orphan"], "nova": ["never"]}
    assert ran.err == ""
    assert cli.state_bytes() == before
    assert standings(cli.run("report", "-e", "mud*", code=0).out) == {"mudada": ["drift"]}


def test_the_page_needs_no_token_and_names_what_was_not_compared(cli: Cli) -> None:
    """A report can be made without secrets, like a plan."""
    cli.fleet("loja")
    cli.run("apply", "--yes", code=0)
    page = cli.run("report", code=0, env={cli.token_env("loja"): None, "PLUG_SECRET_RECEIVE": None}).out
    assert "compared by text alone" in page
    assert only(data_of(page)["environments"])[13] == ["account", "secret:PLUG_SECRET_RECEIVE"]


def test_out_is_written_whole_or_not_at_all(cli: Cli) -> None:
    """The file is replaced; if it can't be written, that is reported, stdout is empty, and the old file is kept."""
    cli.fleet("loja")
    path = cli.write("fleet.html", "before")
    ran = cli.run("report", "--out", "fleet.html", code=0)
    assert ran.out == ""
    assert "open fleet.html in a browser" in ran.err
    assert standings(path.read_text(encoding="utf-8")) == {"loja": ["never"]}
    assert sorted(one.name for one in cli.folder.iterdir()) == ["fleet.html", "manifests"]
    for place, reason in (
        ("manifests", "is a folder"),
        ("no/such/fleet.html", "can't be written"),
        ("/", "is a folder"),
    ):
        ran = cli.run("report", "--out", place, code=3)
        assert ran.out == ""
        assert f"--out: {place} {reason}" in ran.err


@pytest.mark.posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_accepts_no_file_is_reported(cli: Cli) -> None:
    """The folder is read-only: exit 3, and what to do."""
    cli.fleet("loja")
    folder = cli.folder / "locked"
    folder.mkdir(mode=0o500)
    assert "can't be written" in cli.run("report", "--out", "locked/fleet.html", code=3).err


def test_receivers_are_shown_beside_their_events(cli: Cli) -> None:
    """It shows `check`'s findings for known environments and events; fields of later versions are ignored."""
    cli.fleet("loja", "outra")
    receiver = {
        "url": f"https://{HOST}/loja/1/messageStatus",
        "event": "messageStatus",
        "environments": ["loja", "gone"],
        "ok": False,
        "stage": "post",
        "status": 500,
        "latency_s": 0.05,
        "addresses": ["198.51.100.7"],
        "certificate_days": 80,
        "message": "answered 500",
        "warning": "",
        "later": {"version": 2},
    }
    passing = {"url": "https://a.b/c", "event": "receiveMessage", "environments": ["outra"], "ok": True, "stage": "tls"}
    document = {"format": "reconciler.check/1", "posted": True, "summary": {}, "receivers": [receiver, passing]}
    cli.write("check.json", json.dumps(document))
    page = cli.run("report", "--check", "check.json", code=0).out
    assert standings(page) == {"loja": ["failing", "never"], "outra": ["never"]}
    assert data_of(page)["checks"] == [
        [5, receiver["url"], False, "post", 500, 0.05, "198.51.100.7", 80, "answered 500", ""],
        [2, "https://a.b/c", True, "tls", None, None, "", None, "", ""],
    ]
    narrowed = cli.run("report", "--check", "check.json", "-e", "outra", code=0).out
    assert "1 receiver checked, 0 failing" in narrowed
    assert len(data_of(narrowed)["checks"]) == 1


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("", "at its start"),
        ("{}", "format"),
        ('{"format": "reconciler.plan/1", "receivers": []}', "format"),
        ('{"format": "reconciler.check/1"}', "receivers"),
        (
            '{"format": "reconciler.check/1", "receivers": '
            '[{"url": "u", "event": "x", "environments": [], "ok": true, "stage": "tls"}]}',
            "event",
        ),
        (
            '{"format": "reconciler.check/1", "receivers": '
            '[{"url": "u", "event": "messageStatus", "environments": ["a"], "ok": "yes", "stage": "tls"}]}',
            "ok",
        ),
        (
            '{"format": "reconciler.check/1", "receivers": '
            '[{"url": "u", "event": "messageStatus", "environments": ["a"], "ok": true, "stage": "tls",'
            '"latency_s": NaN}]}',
            "latency_s",
        ),
        (
            '{"format": "reconciler.check/1", "receivers": '
            '[{"url": "u", "event": "messageStatus", "environments": ["a"], "ok": true, "stage": "x"}]}',
            "stage",
        ),
        ("[" * 100_000, "at its start"),
    ],
)
def test_a_file_that_is_not_a_result_of_check_is_refused(cli: Cli, content: str, where: str) -> None:
    """Exit 3 with an empty stdout; the message names the location, and repeats nothing of the file."""
    cli.fleet("loja")
    cli.write("check.json", content)
    ran = cli.run("report", "--check", "check.json", code=3)
    assert ran.out == ""
    assert "--check: check.json is not a result of check" in ran.err
    assert where in ran.err


def test_a_missing_check_file_is_reported(cli: Cli) -> None:
    """The message says how to make one."""
    cli.fleet("loja")
    ran = cli.run("report", "--check", "none.json", code=3)
    assert "none.json can't be read" in ran.err
    assert "reconciler check --format json" in ran.err


def test_commits_are_linked_to_the_checkouts_repository(cli: Cli) -> None:
    """The link doesn't hold credentials of the remote's URL."""
    cli.fleet("loja")
    secret = "ghs_canary0123456789"
    cli.canaries.add(secret)
    for command in (
        ["init", "-q"],
        ["remote", "add", "origin", f"https://x:{secret}@github.com/acme/plug.git"],
        ["add", "manifests"],
        ["-c", "user.name=ana", "-c", "user.email=ana@acme.com.br", "commit", "-q", "-m", "First"],
    ):
        subprocess.run(["git", *command], cwd=cli.folder, env=cli.environ, check=True)
    cli.planted.add(cli.folder / ".git/config")
    sha = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=cli.folder, env=cli.environ, text=True).strip()
    by = {"GITHUB_ACTOR": "octocat", "GITHUB_SHA": "0" * 40, "GITHUB_RUN_ID": "17", "GITHUB_RUN_ATTEMPT": "1"}
    cli.run("apply", "--yes", code=0, env=by)
    page = cli.run("report", code=0).out
    home = "https://github.com/acme/plug"
    applied = only(data_of(page)["environments"])[7]
    assert applied[1] == ["octocat", sha, "17/1", f"{home}/commit/{sha}", f"{home}/actions/runs/17/attempts/1"]


def test_hostile_values_stay_data(cli: Cli) -> None:
    """A description, an actor, a commit, a file's name, a check's message: none of them acts in the page's text."""
    cli.fleet("loja")
    cli.manifest("loja", more=f"description: {json.dumps(EVIL)}\n")
    source = cli.folder / "manifests/loja.yaml"
    source.rename(source.with_name(f"{EVIL.replace('/', '')}.yaml"))
    cli.run("apply", "--yes", code=0, env={"GITHUB_ACTOR": EVIL, "GITHUB_SHA": EVIL, "GITHUB_RUN_ID": EVIL})
    receiver = {
        "url": EVIL,
        "event": "messageStatus",
        "environments": ["loja"],
        "ok": False,
        "stage": "post",
        "message": EVIL,
    }
    cli.write("check.json", json.dumps({"format": "reconciler.check/1", "receivers": [receiver]}))
    page = cli.run("report", "--check", "check.json", code=0).out  # The helper checks every line.
    assert page.isascii()
    assert page.count("</script>") == 2
    assert "<img" not in page
    assert only(data_of(page)["environments"])[7][1][0].startswith("\\x1b[31m</script>")


def test_a_corrupt_document_leaves_stdout_empty(cli: Cli) -> None:
    """Unreadable state is exit 4 as everywhere, and no page is made of a part of the state."""
    cli.fleet("loja")
    cli.run("apply", "--yes", code=0)
    (cli.state_folder / "loja.json").write_text("")
    ran = cli.run("report", "--out", "fleet.html", code=4)
    assert ran.out == ""
    assert not Path(cli.folder / "fleet.html").exists()
