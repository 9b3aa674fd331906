"""GitHub's API over HTTP on loopback: pull requests, comments, labels, issues, dispatches, and what a token may do.

Strict: an unknown path, a missing permission or an invalid body is refused with a message that says why.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "acme/plug-webhooks"
BOT = "github-actions[bot]"
DENIED = "Resource not accessible by integration"


@dataclass
class FakeGitHub:
    """The data that GitHub stores for one repository. `tokens`: the permissions of each token's job."""

    url: str = ""
    tokens: dict[str, dict[str, str]] = field(default_factory=dict)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    events: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # Events of labels, by pull request.
    permissions: dict[str, str] = field(default_factory=dict)  # By login.
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    dispatched: list[dict[str, Any]] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)  # Runs of apply.yml, the oldest first.
    jobs: dict[str, list[dict[str, Any]] | Callable[[], list[dict[str, Any]]]] = field(default_factory=dict)
    """By "run id/attempt"; those of a run under way are looked up."""
    pull_commits: dict[int, list[dict[str, Any]]] = field(default_factory=dict)  # The oldest first.
    line: list[dict[str, Any]] = field(default_factory=list)  # Commits of the default branch, the newest first.
    environments: list[str] = field(default_factory=list)  # The GitHub Environments.
    failing: list[tuple[int, str]] = field(default_factory=list)  # These answers come first, to any request.
    requests: list[str] = field(default_factory=list)
    after: Callable[[str], None] = lambda request: None  # What happens on GitHub after a request.
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(100))

    # --- what tests read -------------------------------------------------------------------------------

    def comment_texts(self, number: int) -> list[str]:
        return [comment["body"] for comment in self.comments.get(number, [])]

    def open_issues(self) -> list[dict[str, Any]]:
        return [issue for issue in self.issues.values() if issue["state"] == "open"]

    def set_label(self, number: int, label: str, login: str | None = "ana", *, event: str = "labeled") -> None:
        """Set a label on a pull request, or remove it (`unlabeled`)."""
        actor = None if login is None else {"login": login}
        self.events.setdefault(number, []).append({"event": event, "actor": actor, "label": {"name": label}})

    def write_comment(self, number: int, login: str, body: str) -> dict[str, Any]:
        made = {
            "id": next(self._ids),
            "user": {"login": login},
            "body": body,
            "html_url": f"{self.url}/c",
            "issue_url": f"{self.url}/repos/{REPOSITORY}/issues/{number}",
        }
        self.comments.setdefault(number, []).append(made)
        return made

    def may(self, token: str, area: str, level: str) -> bool:
        if area == "metadata":  # Every token can read it.
            return level == "read"
        given = self.tokens.get(token, {}).get(area, "none")
        return given == "write" or (given == "read" and level == "read")

    # --- the API ---------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, token: str, body: Any) -> tuple[int, Any]:
        self.requests.append(f"{method} {target}")
        if self.failing:
            return self.failing.pop(0)[0], {"message": "said by the test"}
        if token not in self.tokens:
            return 401, {"message": "Bad credentials"}
        path = urlsplit(target).path
        assert path.startswith(f"/repos/{REPOSITORY}/"), path
        rest = path.removeprefix(f"/repos/{REPOSITORY}/")
        query = {key: values[0] for key, values in parse_qs(urlsplit(target).query).items()}
        for pattern, wanted, area, handle in _ROUTES:
            found = re.fullmatch(pattern, rest)
            if found and method == wanted:
                if re.match(r"issues/\d+/comments", rest) and int(found[1]) in self.issues:
                    area = "issues"
                if not self.may(token, area, "read" if method == "GET" else "write"):
                    return 403, {"message": DENIED}
                answered = handle(self, *found.groups(), query if method == "GET" else body)
                self.after(self.requests[-1])
                return answered
        raise AssertionError(f"the fake knows no {method} {rest}")

    def _paged(self, items: list[Any], query: dict[str, str]) -> tuple[int, Any]:
        size, page = int(query["per_page"]), int(query["page"])
        return 200, items[(page - 1) * size : page * size]

    def list_comments(self, number: str, query: dict[str, str]) -> tuple[int, Any]:
        return self._paged(self.comments.get(int(number), []), query)

    def add_comment(self, number: str, body: Any) -> tuple[int, Any]:
        if len(body["body"]) > 65_536:
            return 422, {"message": "body is too long (maximum is 65536 characters)"}
        return 201, self.write_comment(int(number), BOT, body["body"])

    def edit_comment(self, number: str, body: Any) -> tuple[int, Any]:
        (found,) = (one for many in self.comments.values() for one in many if one["id"] == int(number))
        found["body"] = body["body"]
        return 200, found

    def get_pull(self, number: str, query: dict[str, str]) -> tuple[int, Any]:
        return 200, self.pulls[int(number)]

    def list_labels(self, number: str, query: dict[str, str]) -> tuple[int, Any]:
        held: dict[str, None] = {}
        for one in self.events.get(int(number), []):
            held.pop(one["label"]["name"], None)
            if one["event"] == "labeled":
                held[one["label"]["name"]] = None
        return self._paged([{"name": name} for name in held], query)

    def list_events(self, number: str, query: dict[str, str]) -> tuple[int, Any]:
        return self._paged(self.events.get(int(number), []), query)

    def get_permission(self, login: str, query: dict[str, str]) -> tuple[int, Any]:
        if login not in self.permissions:
            return 404, {"message": f"{login} is not a user"}
        return 200, {"permission": self.permissions[login], "user": {"login": login}}

    def pulls_of(self, sha: str, query: dict[str, str]) -> tuple[int, Any]:
        return self._paged([pull for pull in self.pulls.values() if pull["merge_commit_sha"] == sha], query)

    def list_pulls(self, query: dict[str, str]) -> tuple[int, Any]:
        assert (query["state"], query["sort"], query["direction"]) == ("closed", "updated", "desc"), query
        found = [one for one in self.pulls.values() if one.get("updated_at") and one["base"]["ref"] == query["base"]]
        return self._paged(sorted(found, key=lambda one: str(one["updated_at"]), reverse=True), query)

    def list_all_comments(self, query: dict[str, str]) -> tuple[int, Any]:
        assert (query["sort"], query["direction"]) == ("created", "desc") and query["since"].endswith("Z"), query
        every = [one for many in self.comments.values() for one in many]
        return self._paged(sorted(every, key=lambda one: int(one["id"]), reverse=True), query)

    def commits_of(self, number: str, query: dict[str, str]) -> tuple[int, Any]:
        return self._paged(self.pull_commits.get(int(number), []), query)

    def list_commits(self, query: dict[str, str]) -> tuple[int, Any]:
        start = [one["sha"] for one in self.line].index(query["sha"])
        return 200, self.line[start:][: int(query["per_page"])]

    def list_runs(self, query: dict[str, str]) -> tuple[int, Any]:
        filters = {"branch": "head_branch", "status": "status", "head_sha": "head_sha"}
        assert query.keys() <= {*filters, "per_page", "page"}, query
        given = {shown: query[name] for name, shown in filters.items() if name in query}
        found = [run for run in self.runs[::-1] if all(run[shown] == value for shown, value in given.items())]
        status, page = self._paged(found, query)
        return status, {"total_count": len(found), "workflow_runs": page}

    def list_jobs(self, run_id: str, attempt: str, query: dict[str, str]) -> tuple[int, Any]:
        jobs = self.jobs.get(f"{run_id}/{attempt}", [])
        found = jobs() if callable(jobs) else jobs
        status, page = self._paged(found, query)
        return status, {"total_count": len(found), "jobs": page}

    def list_issues(self, query: dict[str, str]) -> tuple[int, Any]:
        found = [one for one in self.open_issues() if query["labels"] in one["labels"]]
        return self._paged(found, query)

    def add_issue(self, body: Any) -> tuple[int, Any]:
        number = next(self._ids)
        made = {**body, "number": number, "state": "open", "user": {"login": BOT}, "html_url": f"{self.url}/i/{number}"}
        self.issues[number] = made
        return 201, made

    def edit_issue(self, number: str, body: Any) -> tuple[int, Any]:
        self.issues[int(number)].update(body)
        return 200, self.issues[int(number)]

    def list_environments(self, query: dict[str, str]) -> tuple[int, Any]:
        status, page = self._paged([{"id": at, "name": name} for at, name in enumerate(self.environments)], query)
        return status, {"total_count": len(self.environments), "environments": page}

    def dispatch(self, workflow: str, body: Any) -> tuple[int, Any]:
        self.dispatched.append({"workflow": workflow, **body})
        return 204, None


_Handler = Callable[..., tuple[int, Any]]
_ROUTES: tuple[tuple[str, str, str, _Handler], ...] = (
    (r"issues/(\d+)/comments", "GET", "pull-requests", FakeGitHub.list_comments),
    (r"issues/(\d+)/comments", "POST", "pull-requests", FakeGitHub.add_comment),
    (r"issues/comments/(\d+)", "PATCH", "pull-requests", FakeGitHub.edit_comment),
    (r"pulls/(\d+)", "GET", "pull-requests", FakeGitHub.get_pull),
    (r"issues/(\d+)/labels", "GET", "pull-requests", FakeGitHub.list_labels),
    (r"issues/(\d+)/events", "GET", "pull-requests", FakeGitHub.list_events),
    (r"collaborators/([\w-]+)/permission", "GET", "metadata", FakeGitHub.get_permission),
    (r"commits/([0-9a-f]{40})/pulls", "GET", "pull-requests", FakeGitHub.pulls_of),
    (r"issues/comments", "GET", "pull-requests", FakeGitHub.list_all_comments),
    (r"pulls", "GET", "pull-requests", FakeGitHub.list_pulls),
    (r"pulls/(\d+)/commits", "GET", "pull-requests", FakeGitHub.commits_of),
    (r"commits", "GET", "contents", FakeGitHub.list_commits),
    (r"actions/workflows/apply\.yml/runs", "GET", "actions", FakeGitHub.list_runs),
    (r"actions/runs/(\d+)/attempts/(\d+)/jobs", "GET", "actions", FakeGitHub.list_jobs),
    (r"issues", "GET", "issues", FakeGitHub.list_issues),
    (r"issues", "POST", "issues", FakeGitHub.add_issue),
    (r"issues/(\d+)", "PATCH", "issues", FakeGitHub.edit_issue),
    (r"environments", "GET", "actions", FakeGitHub.list_environments),
    (r"actions/workflows/([\w.]+)/dispatches", "POST", "actions", FakeGitHub.dispatch),
)


@contextlib.contextmanager
def serve_github() -> Iterator[FakeGitHub]:
    held = FakeGitHub()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            body = json.loads(self.rfile.read(length)) if length else None
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, value = held.answer(self.command, self.path, token, body)
            content = b"" if value is None else json.dumps(value).encode()
            self.send_response(status)
            if status == 429 or status >= 500:  # No test has to wait.
                self.send_header("Retry-After", "0")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _serve

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))  # Seconds until it notices its end.
    thread.start()
    try:
        yield held
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def make_run_variables(held: FakeGitHub, token: str, folder: Path) -> dict[str, str]:
    """Return the variables that the runner sets for a step of run 77, whose event and summary are files of `folder`."""
    return {
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_SHA": "0" * 40,
        "GITHUB_RUN_ID": "77",
        "GITHUB_TOKEN": token,
        "GITHUB_EVENT_PATH": str(folder / "event.json"),
        "GITHUB_API_URL": held.url,
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "RECONCILER_STATE": str(folder / "state"),
        "RUNNER_ENVIRONMENT": "self-hosted",  # Only there may the state be in a folder.
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
    }
