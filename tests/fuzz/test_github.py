"""GitHub's variables, events and answers: each gives a result or an explained error."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from reconciler.core.workflow.labels import Label
from reconciler.core.workflow.markers import Marker, make_name_line
from reconciler.errors import InputError, PostFailed
from reconciler.github.api import GitHub
from reconciler.github.hub import RunHub
from reconciler.github.labels import find_lifting_label
from reconciler.github.merged import count_commits, find_markers, list_merged, list_pulls
from reconciler.github.posts import AUTHOR, dispatch, keep_issue, put_comment
from reconciler.github.repository import HttpRepository, NamedRepository
from reconciler.github.run import WorkflowRun, find_merge_group, find_run
from reconciler.github.runs import list_apply_runs, list_jobs
from reconciler.github.shown import find_head
from reconciler.io.git.remotes import parse_remote
from reconciler.ports import MergedPull
from tests.fuzz.hostile import CANARY, as_json, bounded, hostile_texts, mutated, refused_or, variable_texts
from tests.fuzz.targets import is_this_machine, seen_by_all

SHA = "0" * 40
RUN = WorkflowRun("https://api.github.com", "https://github.com", "acme/hooks", SHA, "ana", "1", {})
COMMENT = {
    "id": 7,
    "user": {"login": AUTHOR},
    "body": make_name_line("plan") + "\nold",
    "html_url": "https://github.com/c",
    "issue_url": "https://api.github.com/repos/acme/hooks/issues/4",
}
ISSUE = {
    "number": 3,
    "user": {"login": AUTHOR},
    "body": make_name_line("drift") + "\nold",
    "title": "t",
    "html_url": "https://github.com/i",
}
PULL = {
    "number": 4,
    "merged_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "merge_commit_sha": SHA,
    "base": {"ref": "main"},
    "head": {"sha": SHA},
}
SHOWN_RUN = {
    "id": 7,
    "head_sha": SHA,
    "status": "queued",
    "conclusion": None,
    "event": "push",
    "actor": {"login": AUTHOR},
    "created_at": "2026-01-01T00:00:00Z",
    "html_url": "https://github.com/r",
}
RUNS = {"workflow_runs": [SHOWN_RUN]}
JOBS = {"jobs": [{"name": "Begin", "conclusion": "success", "html_url": "https://github.com/j"}]}
COMMITS = [{"commit": {"message": "x"}, "parents": [{}]}, {"commit": {"message": "y"}, "parents": [{}]}]
LABELED = {"event": "labeled", "actor": {"login": "ana"}, "label": {"name": str(Label.LARGE_CHANGE)}}
LABEL = {"name": str(Label.LARGE_CHANGE)}
PERMISSION = {"permission": "write"}
REVIEWERS = {"type": "required_reviewers", "reviewers": [{"type": "User"}]}
POLICY = {"protected_branches": False, "custom_branch_policies": True}
ENVIRONMENT = {"name": "loja", "protection_rules": [REVIEWERS], "deployment_branch_policy": POLICY}
POLICIES = {"branch_policies": [{"name": "main", "type": "branch"}]}
SECRETS = {"secrets": [{"name": "PLUG_TOKEN"}], "variables": [{"name": "PLUG_APPLY", "value": "true"}]}
REVIEWS = {"required_approving_review_count": 1, "require_last_push_approval": True}
CHECKS = [{"context": "Webhooks plan", "integration_id": 15368, "app_id": 15368}]
RULES = [
    {"type": "required_status_checks", "parameters": {"required_status_checks": CHECKS}},
    {"type": "pull_request", "parameters": REVIEWS},
]
PROTECTION = {
    "required_pull_request_reviews": REVIEWS,
    "allow_deletions": {"enabled": False},
    "required_status_checks": {"checks": CHECKS},
}
EVENT = {
    "pull_request": {**PULL, "head": {"sha": SHA, "repo": {"full_name": "acme/hooks"}}},
    "repository": {"default_branch": "main"},
    "merge_group": {"base_sha": SHA, "head_ref": f"refs/heads/gh-readonly-queue/main/pr-4-{SHA}"},
}

BODIES = [
    b"",
    b"[]",
    b"{}",
    b"[" * 40_000,
    b"9" * 9000,
    b"\xff",
    b"null",
    json.dumps([COMMENT, ISSUE, PULL, LABELED, LABEL]).encode(),
]
payloads = st.sampled_from(
    [
        [COMMENT],
        [ISSUE],
        [PULL],
        [LABELED],
        [LABEL],
        PERMISSION,
        COMMENT,
        {"message": CANARY + "x"},
        RUNS,
        JOBS,
        COMMITS,
        ENVIRONMENT,
        POLICIES,
        SECRETS,
        RULES,
        PROTECTION,
        {**COMMITS[0], "commit": {"committer": {"date": "2026-01-01T00:00:00Z"}}},
    ]
).flatmap(mutated).map(as_json) | st.integers(0, len(BODIES) - 1).map(BODIES.__getitem__)
answers = st.lists(
    st.tuples(
        st.sampled_from([200, 200, 200, 201, 204, 301, 307, 401, 403, 404, 422, 429, 500, 503]),
        st.dictionaries(
            st.sampled_from(["Retry-After", "Location", "X-RateLimit-Remaining", "Content-Encoding", "Set-Cookie"]),
            st.sampled_from(["0", "1", "\xb2", "9" * 30, "gzip", "br", "https://evil.test/", "x"]),
            max_size=3,
        ),
        payloads,
    ),
    min_size=1,
    max_size=6,
)

CALLS: dict[str, Callable[[GitHub], Any]] = {
    "comment": lambda github: put_comment(github, 4, Marker("plan", 1, 1), "text"),
    "issue": lambda github: keep_issue(github, "drift", "t", "text", label="l", closing="c"),
    "closing": lambda github: keep_issue(github, "drift", "t", None, label="l", closing="c"),
    "merged": lambda github: list_pulls(github, SHA, "acme/plug-webhooks", "main"),
    "label": lambda github: find_lifting_label(github, 4, Label.LARGE_CHANGE),
    "pull": lambda github: RunHub(RUN, github).read_pull(4),
    "dispatch": lambda github: dispatch(github, "apply.yml", "main", {}),
    "jobs": lambda github: list_jobs(github, "7", 1),
    "runs": lambda github: list_apply_runs(github, "main", SHA),
    "merges": lambda github: list_merged(github, "main", datetime(2025, 1, 1, tzinfo=UTC)),
    "markers": lambda github: find_markers(github, "apply", datetime(2025, 1, 1, tzinfo=UTC)),
    "commits": lambda github: count_commits(github, MergedPull(4, SHA, SHA)),
    "setup": lambda github: read_setup(github),
}


def read_setup(github: GitHub) -> None:
    """Make each read of `doctor --github`; an answer that one of them refuses may be right for another."""
    reads = HttpRepository(NamedRepository(RUN.api_url, RUN.repository), github)
    for read in (
        reads.find_default_branch,
        lambda: reads.read_environment("loja"),
        reads.list_secrets,
        reads.list_variables,
        lambda: reads.read_rules("main"),
        lambda: reads.read_protection("main"),
        lambda: reads.find_commit_time("acme/hooks", SHA),
    ):
        with suppress(PostFailed):
            read()


Answer = Callable[[httpx.Request], httpx.Response]


@pytest.fixture(scope="module")
def answered() -> Iterator[Callable[[Answer], None]]:
    """Yield a function that sets what answers the requests of every client that is made from then on."""
    real, tls = httpx.Client, httpx.create_ssl_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            httpx, "create_ssl_context", lambda **_: tls
        )  # To make one takes longer than the rest of the test.

        def answer_with(answer: Answer) -> None:
            patch.setattr(httpx, "Client", lambda **given: real(**given, transport=httpx.MockTransport(answer)))

        yield answer_with


@pytest.mark.parametrize("call", list(CALLS))
@bounded
@given(given_answers=answers)
@example(given_answers=[(429, {"Retry-After": "\xb2"}, b"")])
@example(given_answers=[(200, {}, b"[" * 100_000)])
@example(given_answers=[(200, {"Set-Cookie": "\xb2"}, b"[]")])
@example(given_answers=[(200, {"Content-Encoding": "gzip"}, b"no gzip")])
@example(given_answers=[(200, {}, b'[3, {"user": "x", "body": 3}]')])
@example(given_answers=[(200, {}, b'{"protection_rules": 5, "required_status_checks": {"checks": 5}}')])
@example(given_answers=[(200, {}, b'{"protection_rules": [{"type": "required_reviewers", "reviewers": 5}]}')])
@example(
    given_answers=[(200, {}, b'[{"type": "required_status_checks", "parameters": {"required_status_checks": [5]}}]')]
)
def test_any_answer_of_github_is_a_result_or_a_failed_post(
    answered: Callable[[Answer], None], call: str, given_answers: list[tuple[int, dict[str, str], bytes]]
) -> None:
    """No redirect is followed, no wait is longer than a minute, and the token stays where it is."""
    asked: list[httpx.Request] = []
    slept: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        status, headers, body = given_answers[min(len(asked), len(given_answers)) - 1]
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        return httpx.Response(status, headers=raw, stream=httpx.ByteStream(body))

    answered(answer)
    with GitHub(RUN, "canary-github", sleep=slept.append) as github:
        refused_or(lambda: CALLS[call](github), PostFailed, hidden=["canary-github"])
    assert not any("cookie" in request.headers for request in asked)
    assert all(request.url.host == "api.github.com" for request in asked)
    assert all(request.url.path.startswith("/repos/acme/hooks") for request in asked)
    assert all(0 <= one <= 60 for one in slept)


VARIABLES = ["GITHUB_API_URL", "GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_SHA", "GITHUB_RUN_ID", "GITHUB_ACTOR"]
HOSTS = [
    "https://api.github.com",
    "https://github.com",
    "https://evil.test",
    "https://[",
    "https://api.github.com／x",
    "http://127.0.0.1:1",
]


@bounded
@given(
    st.dictionaries(st.sampled_from(VARIABLES), st.sampled_from(HOSTS) | variable_texts, max_size=4),
    mutated(EVENT) | st.just(EVENT),
)
@example({"GITHUB_API_URL": "https://[", "GITHUB_SERVER_URL": "https://["}, EVENT)
@example({"GITHUB_API_URL": "https://", "GITHUB_SERVER_URL": "https://"}, EVENT)
@example({"GITHUB_API_URL": "https://api.", "GITHUB_SERVER_URL": "https://"}, EVENT)
def test_any_variables_and_event_are_a_run_or_refused(changed: dict[str, str], event: Any) -> None:
    """The token goes to https, to the server that GITHUB_SERVER_URL names or to api. before it, or to loopback."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "event.json"
        path.write_bytes(as_json(event))
        environ = {
            "GITHUB_REPOSITORY": "acme/hooks",
            "GITHUB_SHA": SHA,
            "GITHUB_RUN_ID": "1",
            "GITHUB_EVENT_PATH": str(path),
            **changed,
        }
        run = refused_or(lambda: find_run(environ), InputError, hidden=[])
    if run is None:
        return
    place = seen_by_all(run.api_url)
    server = environ.get("GITHUB_SERVER_URL", "https://github.com")
    allowed = server.lower().endswith(
        ("//" + place.host, "//" + place.host + "/", "//" + place.host.removeprefix("api."))
    )
    assert is_this_machine(place.host) or (place.scheme == "https" and (allowed or place.host == "api.github.com"))
    assert (find_head(run.pull_request) or SHA).isalnum() and isinstance(run.may_only_read, bool)
    group = find_merge_group(run.event)
    assert group is None or ((group.base_sha or SHA).isalnum() and isinstance(group.number or 4, int))
    assert run.default_branch is None or isinstance(run.default_branch, str)


# Most of them name a repository on GitHub, as most of the other texts below don't.
addresses = st.builds(
    lambda *parts: "".join(parts),
    st.sampled_from(
        ["https://", "https://canary-pw@", "https://user:canary-pw@", "ssh://git@", "ssh://user:canary-pw@"]
    ),
    st.sampled_from(["github.com/", "github.com/", "github.com/", "GitHub.com/", "github.com:443/", "evil.test/"]),
    st.sampled_from(["acme", "acme", "canary-pw@acme", ".."]),
    st.sampled_from(["/hooks", "/hooks.git", "/hooks/", "/x@y", "/a/b"]) | hostile_texts,
)


@bounded
@given(
    addresses
    | st.lists(
        st.sampled_from(
            ["https://", "git@", "github.com", ":", "/", "..", "x", ".git", "canary-pw@", "user:canary-pw@", "ssh://"]
        )
        | hostile_texts,
        max_size=7,
    ).map("".join)
)
@example("https://user:canary-pw@github.com/acme/hooks.git")
def test_a_remotes_address_shows_no_password(url: str) -> None:
    """The result is OWNER/NAME on GitHub, or None."""
    name = parse_remote(url)
    event("not on GitHub" if name is None else "a name")
    assert name is None or (name.count("/") == 1 and "@" not in name and ":" not in name)
