"""The workflow run that a process is part of, and malformed events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.errors import InputError
from reconciler.github.run import find_run, to_pull_request
from reconciler.ports import PullRequest


def environ(event: Path) -> dict[str, str]:
    return {
        "GITHUB_REPOSITORY": "acme/plug-webhooks",
        "GITHUB_SHA": "0" * 40,
        "GITHUB_RUN_ID": "1",
        "GITHUB_EVENT_PATH": str(event),
    }


@pytest.mark.parametrize("content", [None, b"", b"{", b"\xff", b"[" * 100_000])
def test_an_event_that_can_not_be_read_is_reported(tmp_path: Path, content: bytes | None) -> None:
    """The message has the variable that names its file."""
    event = tmp_path / "event.json"
    if content is not None:
        event.write_bytes(content)
    with pytest.raises(InputError) as caught:
        find_run(environ(event))
    assert str(caught.value) == f"GITHUB_EVENT_PATH: {event} can't be read"


@pytest.mark.parametrize("content", [b"[]", b"null", b'"x"'])
def test_an_event_that_is_not_an_object_is_ignored(tmp_path: Path, content: bytes) -> None:
    """A run that was begun by hand may have one."""
    (tmp_path / "event.json").write_bytes(content)
    run = find_run(environ(tmp_path / "event.json"))
    assert (run.event, run.pull_request, run.may_only_read) == ({}, None, False)


@pytest.mark.parametrize("number", [None, "4", True, 4.0, [4]])
def test_what_is_not_a_number_is_not_taken_for_one(number: object) -> None:
    """It would become a part of an address."""
    assert to_pull_request({"number": 4}) == PullRequest(4, None)
    assert to_pull_request(json.loads(json.dumps({"number": number}))) == PullRequest(None, None)
