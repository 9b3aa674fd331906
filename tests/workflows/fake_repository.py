"""The settings of a repository, as GitHub's API shows them over HTTP on loopback, and the permissions for them.

Strict: an unknown path fails the test. Each path needs a permission
(docs/github.md), and a token has those that it was given.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

REPOSITORY = "acme/plug-webhooks"
ALL = frozenset({"actions", "environments", "secrets", "variables", "administration", "metadata", "contents"})
DENIED = {"message": "Resource not accessible by personal access token"}
NOT_FOUND = {"message": "Not Found"}


@dataclass
class FakeRepository:
    """`environments`: what GitHub shows of each by its name; policies and `environment_secrets`: by environment."""

    url: str = ""
    token: str = ""
    permissions: frozenset[str] = ALL
    default_branch: str = "main"
    environments: dict[str, dict[str, Any]] = field(default_factory=dict)
    policies: dict[str, list[str]] = field(default_factory=dict)
    tag_policies: dict[str, list[str]] = field(default_factory=dict)
    environment_secrets: dict[str, list[str]] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    organization_secrets: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    protection: dict[str, dict[str, Any]] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)  # The date of OWNER/NAME/COMMIT.
    requests: list[str] = field(default_factory=list)

    def add_environment(self, name: str, *secrets: str, reviewers: int = 0) -> None:
        """Add an environment as `github setup` makes it."""
        rule = {"type": "required_reviewers", "reviewers": [{"type": "User"}] * reviewers}
        self.environments[name] = {
            "name": name,
            "protection_rules": [{"type": "branch_policy"}, *([rule] if reviewers else [])],
            "deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True},
        }
        self.policies[name] = [self.default_branch]
        self.environment_secrets[name] = list(secrets)

    def list_policies(self, name: str) -> list[dict[str, Any]]:
        """Return the policies of an environment. GitHub's older answers have no type."""
        names = self.policies[name]
        branches = [{"name": one} for one in names[:1]] + [{"name": one, "type": "branch"} for one in names[1:]]
        return [*branches, *({"name": tag, "type": "tag"} for tag in self.tag_policies.get(name, []))]

    def answer(self, method: str, target: str, token: str) -> tuple[int, Any]:
        assert method == "GET", method
        split = urlsplit(target)
        path = unquote(split.path)
        self.requests.append(path)
        if token != self.token:
            return 401, {"message": "Bad credentials"}
        query = {key: int(values[0]) for key, values in parse_qs(split.query).items()}
        for pattern, permission, handler in _ROUTES:
            found = re.fullmatch(pattern, path)
            if found:
                if permission not in self.permissions:
                    return 403, DENIED
                status, value = handler(self, *found.groups())
                return status, _page(value, query)
        raise AssertionError(f"the fake knows no {path}")


def _page(value: Any, query: dict[str, int]) -> Any:
    """Cut a list, or the list in an object with a total, as GitHub pages it."""
    size, page = query.get("per_page", 30), query.get("page", 1)
    if isinstance(value, list):
        return value[(page - 1) * size : page * size]
    if isinstance(value, dict) and "total_count" in value:
        return {key: _page(one, query) if isinstance(one, list) else one for key, one in value.items()}
    return value


def _listed(key: str, items: list[Any]) -> tuple[int, Any]:
    return 200, {"total_count": len(items), key: items}


def _names(names: list[str]) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


def _found(value: Any) -> tuple[int, Any]:
    return (404, NOT_FOUND) if value is None else (200, value)


_OWN = f"/repos/{REPOSITORY}"
_ROUTES: tuple[tuple[str, str, Any], ...] = (
    (_OWN, "metadata", lambda it: (200, {"default_branch": it.default_branch})),
    (f"{_OWN}/environments", "actions", lambda it: _listed("environments", [*it.environments.values()])),
    (f"{_OWN}/environments/([^/]+)", "actions", lambda it, name: _found(it.environments.get(name))),
    (
        f"{_OWN}/environments/([^/]+)/deployment-branch-policies",
        "actions",
        lambda it, name: _listed("branch_policies", it.list_policies(name)),
    ),
    (
        f"{_OWN}/environments/([^/]+)/secrets",
        "environments",
        lambda it, name: _listed("secrets", _names(it.environment_secrets[name])),
    ),
    (f"{_OWN}/actions/secrets", "secrets", lambda it: _listed("secrets", _names(it.secrets))),
    (
        f"{_OWN}/actions/organization-secrets",
        "secrets",
        lambda it: _listed("secrets", _names(it.organization_secrets)),
    ),
    (
        f"{_OWN}/actions/variables",
        "variables",
        lambda it: _listed("variables", [{"name": name, "value": value} for name, value in it.variables.items()]),
    ),
    (f"{_OWN}/rules/branches/(.+)", "metadata", lambda it, branch: (200, it.rules.get(branch, []))),
    (f"{_OWN}/branches/(.+)/protection", "administration", lambda it, branch: _found(it.protection.get(branch))),
    (
        "/repos/([^/]+/[^/]+)/commits/([0-9a-f]{40})",
        "contents",
        lambda it, repository, commit: (
            (200, {"commit": {"committer": {"date": it.commits[f"{repository}/{commit}"]}}})
            if f"{repository}/{commit}" in it.commits
            else (404, NOT_FOUND)
        ),
    ),
)


@contextlib.contextmanager
def serve_repository() -> Iterator[FakeRepository]:
    held = FakeRepository()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            status, value = held.answer(self.command, self.path, token)
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

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
