"""A repository as `reconciler init` leaves it, with its remote, GitHub, a runner and Plug around it."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model import Event as Webhook
from reconciler.sandbox.plug import Options
from reconciler.sandbox.server import Sandbox, serve_in_thread
from tests.acceptance.conftest import ROOT, SECRET, TIMEOUT_S, canary
from tests.contract.remotes import git, serve_guarded
from tests.forked import FORKS, STARTED_WITH
from tests.workflows.engine import DEFAULT_BRANCH, Event, Run, Runner, require_act
from tests.workflows.fake_github import REPOSITORY, FakeGitHub, serve_github

ACTION = "acme/reconciler/.github/actions/reconciler@" + "c0ffee" * 6 + "c0ff"
HOST = "hooks.acme.com.br"


@dataclass
class Team:
    """Who works on the repository: writes manifests, opens and merges pull requests, looks at GitHub."""

    clone: Path
    remote: Path
    runner: Runner
    github: FakeGitHub
    sandbox: Sandbox
    tokens: dict[str, str]
    next_pull: int = 1
    branches: dict[int, str] = field(default_factory=dict)

    # --- writing ---------------------------------------------------------------------------------------

    def write(self, name: str, text: str) -> None:
        path = self.clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def edit(self, name: str, before: str, after: str) -> None:
        text = (self.clone / name).read_text(encoding="utf-8")
        assert before in text
        self.write(name, text.replace(before, after))

    def commit(self, message: str) -> str:
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "-q", "-m", message)
        return git(self.clone, "rev-parse", "HEAD").strip()

    def push(self, message: str) -> Event:
        """Straight to the default branch."""
        self.commit(message)
        git(self.clone, "push", "-q", "origin", f"HEAD:{DEFAULT_BRANCH}")
        return self.pushed()

    # --- pull requests ---------------------------------------------------------------------------------

    def open_pull(self, branch: str, *, fork: bool = False, actor: str = "ana") -> Event:
        """What was written, as a pull request on the default branch."""
        number = self.next_pull
        self.next_pull += 1
        self.branches[number] = branch
        git(self.clone, "checkout", "-q", "-b", branch)
        self.github.pulls[number] = {
            "number": number,
            "state": "open",
            "merged_at": None,
            "merge_commit_sha": None,
            "base": {"ref": DEFAULT_BRANCH},
            "head": {"ref": branch, "repo": {"full_name": "eve/plug-webhooks" if fork else REPOSITORY}},
        }
        return self.update_pull(number, actor=actor)

    def update_pull(self, number: int, *, actor: str = "ana") -> Event:
        """Commits what was written, and merges it for trial, as GitHub does."""
        pull = self.github.pulls[number]
        sha = self.commit("Work on it")
        pull["head"]["sha"] = sha
        pull["base"]["sha"] = git(self.clone, "rev-parse", DEFAULT_BRANCH).strip()
        git(self.clone, "push", "-q", "-f", "origin", f"{sha}:refs/pull/{number}/head")
        git(self.clone, "checkout", "-q", "--detach", DEFAULT_BRANCH)
        git(self.clone, "merge", "-q", "--no-ff", "-m", "Trial", sha)
        merged = git(self.clone, "rev-parse", "HEAD").strip()
        git(self.clone, "push", "-q", "-f", "origin", f"HEAD:refs/pull/{number}/merge")
        git(self.clone, "checkout", "-q", self.branches[number])
        is_fork = pull["head"]["repo"]["full_name"] != REPOSITORY
        payload = {"pull_request": deepcopy(pull), "repository": self._repository}
        ref = f"refs/pull/{number}/merge"
        read_only = is_fork or actor == "dependabot[bot]"
        return Event("pull_request", merged, ref, payload, actor=actor, is_fork=read_only)

    def merge_pull(self, number: int) -> Event:
        git(self.clone, "checkout", "-q", DEFAULT_BRANCH)
        git(self.clone, "merge", "-q", "--no-ff", "-m", f"Merge pull request #{number}", self.branches[number])
        git(self.clone, "push", "-q", "origin", f"HEAD:{DEFAULT_BRANCH}")
        sha = git(self.clone, "rev-parse", "HEAD").strip()
        self.github.pulls[number] |= {"state": "closed", "merged_at": "2026-11-23T12:00:00Z", "merge_commit_sha": sha}
        return self.pushed()

    @property
    def _repository(self) -> Mapping[str, Any]:
        return {"default_branch": DEFAULT_BRANCH, "full_name": REPOSITORY}

    # --- events and runs -------------------------------------------------------------------------------

    def pushed(self) -> Event:
        sha = git(self.clone, "rev-parse", DEFAULT_BRANCH).strip()
        return Event("push", sha, f"refs/heads/{DEFAULT_BRANCH}", {"repository": self._repository})

    def scheduled(self) -> Event:
        return Event("schedule", self.pushed().sha, f"refs/heads/{DEFAULT_BRANCH}", {"schedule": "17 * * * *"})

    def by_hand(self, **inputs: Any) -> Event:
        event = self.pushed()
        return Event("workflow_dispatch", event.sha, event.ref, event.payload, inputs=inputs)

    def run(self, name: str, event: Event) -> Run:
        """The workflow as it stands in the commit of the event."""
        text = git(self.remote, "show", f"{event.sha}:.github/workflows/{name}.yml")
        return self.runner.run(text, event)

    def applied(self) -> None:
        """The default branch applied in one go, as an earlier run would have left it; sooner than its many jobs."""
        environ = {
            **STARTED_WITH,
            **self.runner.environ,
            **self.runner.secrets,
            **{f"PLUG_TOKEN_{name.upper()}": token for name, token in self.tokens.items()},
            "PATH": os.environ["PATH"],
            "HOME": str(self.clone.parent),
        }
        code, _, err = FORKS.run(["apply", "--yes"], self.clone, environ, None, TIMEOUT_S)
        assert code == 0, err

    # --- Plug ------------------------------------------------------------------------------------------

    def plug_holds(self, environment: str, event: Webhook) -> str | None:
        company = self.sandbox.plug.companies.get(self.tokens[environment])
        return None if company is None else company.webhooks[event]

    def check_secrets(self) -> None:
        """No token or secret in anything that GitHub or the remote keeps."""
        kept = repr([self.github.comments, self.github.issues, self.github.dispatched])
        for path in self.remote.rglob("*"):
            if path.is_file():
                kept += path.read_bytes().decode("latin-1")
        for value in [*self.tokens.values(), *self.runner.secrets.values()]:
            assert value not in kept


@pytest.fixture
def plug() -> Iterator[Sandbox]:
    with serve_in_thread(Options()) as running:
        yield running


@pytest.fixture
def team(tmp_path: Path, plug: Sandbox) -> Iterator[Team]:
    """`init` was run, hosts were filled in and pushed, and the secrets of two GitHub Environments are set."""
    require_act()
    remote = tmp_path / "plug-webhooks.git"
    git(tmp_path, "init", "-q", "--bare", "-b", DEFAULT_BRANCH, str(remote))
    with (remote / "config").open("a") as config:
        config.write("[receive]\n\tautogc = false\n")  # it lives for one test
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(remote), str(clone))
    code, _, err = FORKS.run(["init", str(clone), "--action", ACTION], tmp_path, dict(os.environ), None, TIMEOUT_S)
    assert code == 0, err
    for name in ("staging", "production"):
        path = clone / f"manifests/{name}.yaml"
        path.write_text(re.sub(r"hooks[\w-]*\.example\.com", HOST, path.read_text()))
    tokens = {"staging": canary(), "production": canary()}
    secret = canary("secret")
    with serve_github() as github:

        def allows(header: str | None, pushes: bool) -> bool:
            if header is None or not header.startswith("Basic "):
                return False
            _, _, token = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
            return github.may(token, "contents", "write" if pushes else "read")

        with serve_guarded(remote, allows) as url:
            runner = Runner(
                folder=tmp_path / "runs",
                remote_url=url,
                server_url=url.rpartition("/")[0],
                github=github,
                action=ACTION,
                variables={"PLUG_APPLY": "true"},
                secrets={SECRET: secret},
                environments={name: {"PLUG_TOKEN": token} for name, token in tokens.items()},
                environ={"RECONCILER_API__BASE_URL": plug.base_url},
            )
            made = Team(clone, remote, runner, github, plug, tokens)
            git(clone, "checkout", "-q", "-b", DEFAULT_BRANCH)
            made.push("Begin")
            yield made
            made.check_secrets()


def workflow(name: str) -> dict[str, Any]:
    """A shipped workflow or action, parsed."""
    loaded: dict[str, Any] = yaml.load((ROOT / ".github" / name).read_text(), Loader=yaml.BaseLoader)
    return loaded
