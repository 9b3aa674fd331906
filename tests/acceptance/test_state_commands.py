"""The commands that read and fix the state, and the effects of a damaged one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import Cli, only


def make_intent(cli: Cli, name: str, lease_until: str | None, **values: Any) -> None:
    """Give an applied environment an unfinished intent, as a killed run leaves it."""
    document = cli.document(name)
    document["serial"] += 1
    document["intent"] = {
        "id": "0" * 32,
        "webhooks": document["applied"]["webhooks"],
        "doubt": lease_until is None,
        "at": "2026-01-01T00:00:00Z",
        "lease_until": lease_until,
        "by": {"actor": "ana-silva", "commit": None, "run": "77/1"},
        **values,
    }
    cli.put_document(name, document)


@pytest.fixture
def applied(cli: Cli) -> Cli:
    cli.fleet("loja", "matriz")
    cli.environ |= {"GITHUB_ACTOR": "rui", "GITHUB_SHA": "abc123", "GITHUB_RUN_ID": "9", "GITHUB_RUN_ATTEMPT": "1"}
    cli.run("apply", "--yes", code=0)
    return cli


def test_list_show_and_history_show_what_was_applied(applied: Cli) -> None:
    """They show who applied what and when, newest first, each entry only with the events that it changed."""
    urls = applied.document("loja")["applied"]["webhooks"]
    changed = "https://hooks.acme.com.br/nova"
    applied.manifest("loja", more=f"webhooks:\n  messageStatus: {changed}\n")
    applied.run("apply", "--yes", code=0)
    listed = applied.run("state", "list", "--format", "json", code=0).json["environments"]
    assert [(one["environment"], one["actor"], one["doubt"], one["locked"]) for one in listed] == [
        ("loja", "rui", False, False),
        ("matriz", "rui", False, False),
    ]
    assert applied.run("state", "show", "loja", "--format", "json", code=0).json == applied.document("loja")
    history = applied.run("state", "history", "loja", "--format", "json", code=0).json["history"]
    assert [one["webhooks"] for one in history] == [{"messageStatus": changed}, urls]
    assert all(one["by"] == {"actor": "rui", "commit": "abc123", "run": "9/1"} for one in history)
    for command in (("list",), ("show", "loja"), ("history", "loja")):
        assert "rui" in applied.run("state", *command, code=0).out


def test_reading_an_empty_state_writes_nothing(cli: Cli) -> None:
    """A missing folder is an empty state, and isn't created."""
    cli.fleet("loja")
    assert cli.run("state", "list", "--format", "json", code=0).json["environments"] == []
    cli.run("plan", code=0)
    cli.run("drift", code=2)
    assert not (cli.folder / ".reconciler").exists()


def test_adopt_records_without_a_put(cli: Cli, sandbox: Sandbox) -> None:
    """It asks first; the desired webhooks then count as applied, marked as adopted, and nothing is sent."""
    cli.fleet("loja")
    requests = sandbox.plug.requests
    assert cli.run("state", "adopt", "loja", "--unverified", code=3).out == ""
    cli.run("state", "adopt", "loja", "--unverified", code=1, answer="n\n")
    assert cli.state_bytes() == {}
    cli.run("state", "adopt", "loja", "--unverified", "--yes", code=0)
    assert cli.document("loja")["applied"]["adopted"] is True
    assert cli.run("apply", "--format", "json", code=0).outcomes == {"loja": "unchanged"}
    assert sandbox.plug.requests == requests
    assert cli.run("state", "adopt", "nobody", "--unverified", "--yes", code=3).out == ""


def test_adopt_ends_doubt(applied: Cli) -> None:
    """The user confirms what Plug holds, so nothing is left to put."""
    make_intent(applied, "loja", None)
    assert applied.run("plan", "--format", "json", code=0).actions == {"loja": "reassert", "matriz": "noop"}
    applied.run("state", "adopt", "loja", "--unverified", "--yes", code=0)
    assert applied.run("plan", "--format", "json", code=0).actions == {"loja": "noop", "matriz": "noop"}


def test_forget_removes_an_environment_only_from_the_state(applied: Cli, sandbox: Sandbox) -> None:
    """The next plan creates it; Plug isn't changed."""
    requests = sandbox.plug.requests
    applied.run("state", "forget", "loja", code=3)
    applied.run("state", "forget", "loja", "--yes", code=0)
    assert applied.state_bytes().keys() == {"matriz.json"}
    assert applied.run("plan", "--format", "json", code=0).actions == {"loja": "create", "matriz": "noop"}
    assert applied.held("loja") == applied.desired("loja")
    assert sandbox.plug.requests == requests
    applied.run("state", "forget", "loja", "--yes", code=3)


def test_a_live_intent_is_not_adopted_or_forgotten_but_unlocked(applied: Cli) -> None:
    """Another run's live lease is refused with 4 and named; unlock releases it and keeps the doubt; apply converges."""
    make_intent(applied, "loja", "2126-01-01T00:00:00Z")
    before = applied.state_bytes()
    for command in ("adopt", "forget"):
        ran = applied.run("state", command, "loja", "--yes", code=4)
        assert ran.out == ""
        assert "ana-silva" in ran.err
    assert applied.run("apply", "--yes", "--format", "json", code=4).outcomes["loja"] == "locked"
    applied.run("state", "unlock", "loja", code=3)
    assert applied.state_bytes() == before
    applied.run("state", "unlock", "loja", "--yes", code=0)
    intent = applied.document("loja")["intent"]
    assert (intent["doubt"], intent["lease_until"]) == (True, None)
    ran = applied.run("apply", "--yes", "--format", "json", code=0)
    one = next(one for one in ran.json["environments"] if one["environment"] == "loja")
    assert (one["outcome"], one["reasons"]) == ("applied", ["uncertain"])
    applied.run("state", "unlock", "loja", "--yes", code=0)


def test_an_expired_lease_is_taken_over_in_doubt(applied: Cli) -> None:
    """A run that died long ago locks nothing, and its webhooks are put again."""
    make_intent(applied, "loja", "2026-01-01T00:15:00Z")
    planned = applied.run("plan", "--format", "json", "-e", "loja", code=0).json
    one = only(planned["environments"])
    assert (one["action"], one["reasons"]) == ("reassert", ["uncertain"])
    puts = applied.puts("loja")
    assert applied.run("apply", "--yes", "--format", "json", code=0).outcomes["loja"] == "applied"
    assert applied.puts("loja") == puts + 1


def test_an_old_record_is_put_again_with_max_age(applied: Cli) -> None:
    """max_age makes an old applied record a reassert and drift."""
    document = applied.document("loja")
    document["applied"]["at"] = "2026-01-01T00:00:00Z"
    applied.put_document("loja", document)
    one = only(applied.run("plan", "-e", "loja", "--max-age", "30d", "--format", "json", code=0).json["environments"])
    assert (one["action"], one["reasons"]) == ("reassert", ["expired"])
    findings = applied.run("drift", "--max-age", "30d", "--format", "json", code=2).json["findings"]
    assert [(one["environment"], one["kind"]) for one in findings] == [("loja", "expired")]


def corrupt_types(document: dict[str, Any]) -> str:
    return json.dumps({**document, "serial": str(document["serial"])})


def corrupt_name(document: dict[str, Any]) -> str:
    return json.dumps({**document, "environment": "another"})


def corrupt_newer(document: dict[str, Any]) -> str:
    return json.dumps({**document, "format": "reconciler.state/3", "more": 1})


def corrupt_missing(document: dict[str, Any]) -> str:
    del document["applied"]["webhooks"]["messageStatus"]
    return json.dumps(document)


def corrupt_half(document: dict[str, Any]) -> str:
    return json.dumps(document)[:200]


def corrupt_empty(_document: dict[str, Any]) -> str:
    return ""


def corrupt_object(_document: dict[str, Any]) -> str:
    return "{}"


CORRUPTIONS = {
    "types": corrupt_types,
    "name": corrupt_name,
    "newer": corrupt_newer,
    "missing": corrupt_missing,
    "half": corrupt_half,
    "empty": corrupt_empty,
    "object": corrupt_object,
}


def test_a_corrupt_document_is_named_and_never_taken_for_empty(cli: Cli, sandbox: Sandbox) -> None:
    """All damage is exit 4 with the file's name; nothing is sent or changed; other selections work."""
    cli.fleet("sound", *CORRUPTIONS)
    cli.run("apply", "--yes", code=0)
    cli.manifest("sound", version="2")
    for name, corrupt in CORRUPTIONS.items():
        (cli.state_folder / f"{name}.json").write_text(corrupt(cli.document(name)))
    before, requests = cli.state_bytes(), sandbox.plug.requests
    for arguments in (["plan", "--format", "json"], ["apply", "--yes", "--format", "json"], ["drift"]):
        ran = cli.run(*arguments, code=4)
        assert ran.out == ""
        for name in CORRUPTIONS:
            assert f"{name}.json" in ran.err
    assert "types.json" in cli.run("state", "show", "types", code=4).err
    assert "newer.json" in cli.run("state", "adopt", "newer", "--unverified", "--yes", code=4).err
    assert cli.state_bytes() == before
    assert sandbox.plug.requests == requests
    assert cli.run("apply", "--yes", "-e", "sound", "--format", "json", code=0).outcomes == {"sound": "applied"}
    assert cli.run("state", "list", "-e", "sound", "--format", "json", code=0).json["environments"]


def test_a_file_with_an_invalid_environment_name_is_an_error(applied: Cli) -> None:
    """A foreign file in the state folder is named; a selection without it works."""
    (applied.state_folder / "Not An Environment.json").write_text("{}")
    assert "Not An Environment.json" in applied.run("plan", code=4).err
    applied.run("plan", "-e", "loja", code=0)


def test_a_file_of_a_dead_writer_is_not_a_document(applied: Cli) -> None:
    """An incomplete temporary file is not read, and the next write succeeds."""
    left = applied.state_folder / ".writing" / "deadbeef"
    left.parent.mkdir()
    left.write_text("{")
    assert set(applied.run("plan", "--format", "json", code=0).actions) == {"loja", "matriz"}
    applied.manifest("loja", version="2")
    applied.run("apply", "--yes", code=0)
    assert not left.parent.exists()


def test_files_behind_a_link_are_not_removed(applied: Cli, tmp_path: Path) -> None:
    """A link instead of the temporary files may lead to other files: nothing is removed, nothing sent."""
    others = tmp_path / "others"
    others.mkdir()
    (others / "file").write_text("not ours")
    (applied.state_folder / ".writing").symlink_to(others)
    applied.manifest("loja", version="2")
    assert ".writing is a symbolic link" in applied.run("apply", "--yes", code=4).err
    assert (others / "file").read_text() == "not ours"
