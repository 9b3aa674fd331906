"""Posts to GitHub: made once, repeated after a transient failure, and left out if nothing has changed."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.core.workflow.markers import Marker, MarkState
from reconciler.errors import PostFailed, TransientError
from reconciler.github.api import MAX_ANSWER_BYTES, MAX_PAGES, PAGE, GitHub
from reconciler.github.posts import AUTHOR, MAX_CHARS, keep_issue, put_comment
from reconciler.github.run import WorkflowRun
from reconciler.io.http.proxy import Proxy, parse_proxy
from reconciler.ports import Posted, PostEffect
from tests.acceptance.conftest import canary
from tests.wire import Talk, answering, http, read_request, server
from tests.workflows.fake_github import REPOSITORY, FakeGitHub, serve_github

TEXT = "## Plan: 1 to create\n"
PLAN = Marker("plan", 7, 1)


@pytest.fixture(scope="module")
def _server() -> Iterator[FakeGitHub]:
    with serve_github() as held:
        yield held


@pytest.fixture
def hub(_server: FakeGitHub) -> FakeGitHub:
    """Return GitHub, with nothing on it."""
    for held in (_server.comments, _server.issues, _server.failing, _server.requests):
        held.clear()
    return _server


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def github(hub: FakeGitHub, slept: list[float]) -> Iterator[GitHub]:
    token = canary()
    hub.tokens[token] = dict.fromkeys(("pull-requests", "issues"), "write")
    run = WorkflowRun(hub.url, "https://github.com", REPOSITORY, "0" * 40, "ana", "1", {})
    with GitHub(run, token, sleep=slept.append) as client:
        yield client


def keep(github: GitHub, text: str | None = TEXT, title: str = "Webhook drift: loja") -> Posted | None:
    return keep_issue(github, "drift", title, text, label="reconciler-drift", closing="No drift any more.")


def writes(hub: FakeGitHub) -> list[str]:
    return [request for request in hub.requests if not request.startswith("GET ")]


def test_the_same_comment_again_is_not_written(hub: FakeGitHub, github: GitHub) -> None:
    """A push that changes no plan sends no notification."""
    assert put_comment(github, 4, PLAN, TEXT).done == "created"
    assert put_comment(github, 4, PLAN, TEXT) == Posted(PostEffect.UNCHANGED, f"{hub.url}/c")
    assert put_comment(github, 4, PLAN, "other").done == "updated"
    assert hub.comment_texts(4) == [f"{PLAN}\nother"]
    assert len(writes(hub)) == 2


@pytest.mark.parametrize(
    ("run_id", "attempt", "done"),
    [(6, 2, "superseded"), (7, 1, "superseded"), (7, 2, "updated"), (7, 3, "updated"), (8, 1, "updated")],
)
def test_a_comment_of_a_later_run_is_not_changed(
    run_id: int, attempt: int, done: str, hub: FakeGitHub, github: GitHub
) -> None:
    """An old run that is repeated must not replace the new plan by its old one."""
    newest = Marker("plan", 7, 2, MarkState.OPEN)
    put_comment(github, 4, newest, TEXT)
    mine = Marker("plan", run_id, attempt)
    assert put_comment(github, 4, mine, "other").done == done
    assert hub.comment_texts(4) == [f"{newest}\n{TEXT}" if done == "superseded" else f"{mine}\nother"]


def test_a_comment_of_an_earlier_version_is_replaced(hub: FakeGitHub, github: GitHub) -> None:
    """Its marker has no run."""
    hub.write_comment(4, AUTHOR, "<!-- reconciler:plan -->\nold")
    assert put_comment(github, 4, Marker("plan", 1, 1), TEXT).done == "updated"


def test_the_same_issue_again_is_not_written(hub: FakeGitHub, github: GitHub) -> None:
    """The same drift writes it once; other environments change its title."""
    assert keep(github).done == "created"  # type: ignore[union-attr]
    assert keep(github) == Posted(PostEffect.UNCHANGED, hub.open_issues()[0]["html_url"])
    assert keep(github, title="Webhook drift: matriz").done == "updated"  # type: ignore[union-attr]
    assert len(writes(hub)) == 2
    assert keep(github, None).done == "closed"  # type: ignore[union-attr]
    assert keep(github, None) is None


def test_a_text_that_is_too_long_for_github_is_refused_before_the_request(hub: FakeGitHub, github: GitHub) -> None:
    """The message has both numbers."""
    with pytest.raises(PostFailed, match="the text has 65,594 characters, and GitHub takes 65,536"):
        put_comment(github, 4, PLAN, "x" * MAX_CHARS)
    assert hub.requests == []


def test_a_transient_failure_is_tried_three_times(hub: FakeGitHub, github: GitHub, slept: list[float]) -> None:
    """The waits are those that GitHub asks for; the last failure is reported."""
    hub.failing += [(503, ""), (429, "")]
    assert put_comment(github, 4, PLAN, TEXT).done == "created"
    assert slept == [0, 0]
    hub.failing += [(503, "")] * 3
    with pytest.raises(PostFailed, match="GitHub answered 503 to GET issues/4/comments: said by the test"):
        put_comment(github, 4, PLAN, TEXT)
    assert (len(slept), hub.failing) == (4, [])
    hub.failing += [(422, "")]
    with pytest.raises(PostFailed, match="GitHub answered 422"):
        put_comment(github, 4, PLAN, TEXT)
    assert (len(slept), len(hub.comment_texts(4))) == (4, 1)


def test_without_retry_after_each_wait_is_longer(slept: list[float]) -> None:
    """A refused connection does not say when to try again."""
    run = WorkflowRun("http://127.0.0.1:1", "https://github.com", REPOSITORY, "0" * 40, "ana", "1", {})
    refused = "GitHub didn't answer GET issues/4/comments: the connection to GitHub was refused"
    with GitHub(run, canary(), sleep=slept.append) as github, pytest.raises(PostFailed, match=refused):
        put_comment(github, 4, PLAN, TEXT)
    assert slept == [1.0, 2.0]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "the connection to the proxy 127.0.0.1:PORT was refused"),
        (
            b"HTTP/1.1 407 canary-of-a-proxy\r\n\r\n",
            "the proxy 127.0.0.1:PORT answered 407. It does not accept the user",
        ),
        (b"HTTP/1.1 403 No\r\n\r\n", "the proxy 127.0.0.1:PORT answered 403"),
        (b"what?\r\n\r\n", "the answer of GitHub (through the proxy 127.0.0.1:PORT) is not valid HTTP"),
    ],
)
def test_a_proxy_that_fails_is_called_a_proxy(answer: bytes | None, reason: str) -> None:
    """The message has its host and port, but not its password."""
    run = WorkflowRun("https://api.github.com", "https://github.com", REPOSITORY, "0" * 40, "ana", "1", {})
    with server(answering(answer or b"")) as port, contextlib.ExitStack() as stack:
        if answer is None:
            with server(answering(b"")) as port:
                pass  # the listener is closed
        github = stack.enter_context(GitHub(run, canary(), proxy=make_proxy(port)))
        with pytest.raises(PostFailed) as failed:
            github.request("GET", "issues")
    assert reason.replace("PORT", str(port)) in str(failed.value)
    assert "canary-of-a-proxy" not in str(failed.value)


def ask(talk: Talk, token: str) -> PostFailed:
    """Return the error of a request to a server that behaves like this."""
    with server(talk) as port:
        run = WorkflowRun(f"http://127.0.0.1:{port}", "https://github.com", REPOSITORY, "0" * 40, "ana", "1", {})
        with GitHub(run, token) as github, pytest.raises(PostFailed) as failed:
            github.request("GET", "issues")
    return failed.value


@pytest.mark.parametrize("status", ["401 Unauthorized", "500 Error"])
@pytest.mark.parametrize("before", [0, 190])
def test_an_answer_that_echoes_the_token_is_masked(status: str, before: int) -> None:
    """The token is in the message or the status line, also if the message is cut within the token."""
    token = canary()
    said = json.dumps({"message": "x" * before + token}).encode()
    for answer in (http(status, said), http(f"{status} {token}")):
        failed = str(ask(answering(answer), token))
        assert token[:8] not in failed
        assert "***" in failed


def test_an_answer_that_does_not_end_in_time_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part arrives soon, so the timeout between two parts never ends it."""
    monkeypatch.setattr("reconciler.github.api.ANSWER_TIMEOUT_S", 0.05)

    def trickle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:  # until the client has gone
            connection.sendall(b" ")
            time.sleep(0.01)

    failed = ask(trickle, canary())
    assert isinstance(failed, TransientError)
    assert str(failed) == "GitHub did not finish its answer to GET issues within 0.05 s"


def make_proxy(port: int) -> Proxy:
    return parse_proxy("HTTPS_PROXY", f"http://ana:canary-of-a-proxy@127.0.0.1:{port}")


def test_at_most_three_thousand_comments_are_read(hub: FakeGitHub, github: GitHub) -> None:
    """A robot's flood of comments must not block the run: after them a new comment is written."""
    comment: dict[str, Any] = {"id": 7, "user": {"login": AUTHOR}, "body": f"{PLAN}\nold"}
    hub.comments[4] = [{"id": 1, "user": {"login": "bot"}, "body": "+1"}] * (MAX_PAGES * PAGE) + [comment]
    assert put_comment(github, 4, PLAN, TEXT).done == "created"
    assert len(hub.requests) == MAX_PAGES + 1
    assert json.dumps(comment) == json.dumps(hub.comments[4][-2])


def pack_spaces(size_bytes: int) -> bytes:
    """Return a packed JSON text of spaces, a thousandth of its size. Each member of it unpacks to a mebibyte."""
    whole, rest = divmod(size_bytes - 2, 1 << 20)
    return gzip.compress(b" " * (1 << 20), 9) * whole + gzip.compress(b" " * rest + b"[]", 9)


@pytest.mark.parametrize(
    ("size_bytes", "reported"), [(MAX_ANSWER_BYTES, None), (MAX_ANSWER_BYTES + 1, "is larger than 16 MiB")]
)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("status", [200, 422])
def test_an_answer_is_read_no_further_than_the_bound(
    size_bytes: int, reported: str | None, packed: bool, status: int
) -> None:
    """The bound counts as sent and unpacked, also for a refusal: a few hundred KB must not become gigabytes."""
    body = pack_spaces(size_bytes) if packed else b" " * (size_bytes - 2) + b"[]"
    coding = b"Content-Encoding: gzip\r\n" if packed else b""
    head = b"HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n" % (status, coding, len(body))
    with server(answering(head + body)) as port:
        run = WorkflowRun(f"http://127.0.0.1:{port}", "https://github.com", REPOSITORY, "0" * 40, "ana", "1", {})
        with GitHub(run, canary()) as github, contextlib.ExitStack() as stack:
            if reported or status != 200:
                stack.enter_context(pytest.raises(PostFailed, match=reported or "GitHub answered 422 to GET issues: X"))
            assert github.request("GET", "issues") == []


def test_a_small_answer_that_would_unpack_to_gigabytes_takes_no_memory() -> None:
    body = pack_spaces(256 * 1024 * 1024)
    head = b"HTTP/1.1 200 X\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body)
    with server(answering(head + body)) as port:
        run = WorkflowRun(f"http://127.0.0.1:{port}", "https://github.com", REPOSITORY, "0" * 40, "ana", "1", {})
        with GitHub(run, canary()) as github:
            tracemalloc.start()
            try:
                with pytest.raises(PostFailed, match="GitHub's answer to GET issues is larger than 16 MiB"):
                    github.request("GET", "issues")
                assert tracemalloc.get_traced_memory()[1] < 4 * MAX_ANSWER_BYTES
            finally:
                tracemalloc.stop()
