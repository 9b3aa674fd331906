"""A comment that is updated, and an issue that is opened, updated and closed; each is found again by its marker.

A marker is an HTML comment at the start of the text (`core.workflow.markers`). Any user may write one, so only texts of
the workflows' own author count. Every function can be repeated: before it writes, it looks for what an earlier try
left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.core.workflow.markers import Marker, make_name_line, may_replace, parse_marker
from reconciler.errors import PostFailed
from reconciler.github.api import GitHub
from reconciler.github.shown import dig, find_number, find_text
from reconciler.ports import Posted, PostEffect

MAX_CHARS = 65_536  # of a comment's or an issue's text
AUTHOR = "github-actions[bot]"  # the user as which GITHUB_TOKEN writes


def put_comment(github: GitHub, number: int, marker: Marker, text: str) -> Posted:
    """Create or update the one comment with the marker's name on a pull request. Raises PostFailed.

    A comment of a later run, or of a later attempt, is not changed.
    """
    body = _join(str(marker), text)

    def put() -> Posted:
        comment = find_comment(github, number, marker.name)
        if comment is None:
            return Posted(PostEffect.CREATED, _url(github.request("POST", f"issues/{number}/comments", {"body": body})))
        if not may_replace(parse_marker(comment["body"], marker.name) or Marker(marker.name), marker):
            return Posted(PostEffect.SUPERSEDED, _url(comment))
        if comment["body"] == body:
            return Posted(PostEffect.UNCHANGED, _url(comment))
        changed = github.request("PATCH", f"issues/comments/{_number(comment, 'id')}", {"body": body})
        return Posted(PostEffect.UPDATED, _url(changed))

    return github.retry(put)


def find_comment(github: GitHub, number: int, name: str) -> Mapping[str, Any] | None:
    """Return our comment of this name on a pull request; None if there is none."""
    for comment in github.pages(f"issues/{number}/comments"):
        if _is_ours(comment, name):
            found: Mapping[str, Any] = comment
            return found
    return None


def keep_issue(github: GitHub, name: str, title: str, text: str | None, *, label: str, closing: str) -> Posted | None:
    """Open or update the one issue of this name with `text`; without `text`, close it with the comment `closing`.

    Returns None if there was nothing to close. Raises PostFailed.
    """

    def keep() -> Posted | None:
        issue = _find_issue(github, name, label)
        if text is None:
            return None if issue is None else _close(github, issue, closing)
        body = _join(make_name_line(name), text)
        if issue is None:
            created = github.request("POST", "issues", {"title": title, "body": body, "labels": [label]})
            return Posted(PostEffect.CREATED, _url(created))
        if issue["body"] == body and issue.get("title") == title:
            return Posted(PostEffect.UNCHANGED, _url(issue))
        changed = github.request("PATCH", f"issues/{_number(issue, 'number')}", {"title": title, "body": body})
        return Posted(PostEffect.UPDATED, _url(changed))

    return github.retry(keep)


def _close(github: GitHub, issue: Mapping[str, Any], closing: str) -> Posted:
    """Close the issue, then comment on it: a second try finds no open issue, so nothing is posted twice."""
    number = _number(issue, "number")
    closed = github.request("PATCH", f"issues/{number}", {"state": "closed", "state_reason": "completed"})
    github.request("POST", f"issues/{number}/comments", {"body": closing})
    return Posted(PostEffect.CLOSED, _url(closed))


def _find_issue(github: GitHub, name: str, label: str) -> Mapping[str, Any] | None:
    for issue in github.pages("issues", {"state": "open", "labels": label}):
        if "pull_request" not in issue and _is_ours(issue, name):
            found: Mapping[str, Any] = issue
            return found
    return None


def dispatch(github: GitHub, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
    """Begin a run of another workflow by `workflow_dispatch`. Raises PostFailed."""
    github.retry(
        lambda: github.request("POST", f"actions/workflows/{workflow}/dispatches", {"ref": ref, "inputs": dict(inputs)})
    )


def _join(marker: str, text: str) -> str:
    body = f"{marker}\n{text}"
    if len(body) > MAX_CHARS:
        raise PostFailed(f"the text has {len(body):,} characters, and GitHub takes {MAX_CHARS:,}")
    return body


def _is_ours(item: Mapping[str, Any], name: str) -> bool:
    body = find_text(item, "body")
    return dig(item, "user", "login") == AUTHOR and body is not None and parse_marker(body, name) is not None


def _number(item: Mapping[str, Any], key: str) -> int:
    """Return a number for use in an address. Raises PostFailed."""
    found = find_number(item, key)
    if found is None:
        raise PostFailed(f"GitHub's answer has no {key}")
    return found


def _url(item: Any) -> str:
    return find_text(item, "html_url") or ""
