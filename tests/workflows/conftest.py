"""A repository as `reconciler init` writes it, with its remote, GitHub, a runner and Plug."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.model import Event as Webhook
from reconciler.sandbox.plug import Options
from reconciler.sandbox.server import Sandbox, serve_in_thread
from reconciler.text.instants import instant
from tests.acceptance.conftest import SECRET, TIMEOUT_S, canary
from tests.contract.remotes import git, serve_guarded
from tests.forked import FORKS, STARTED_WITH
from tests.workflows.engine import DEFAULT_BRANCH, Event, Run, Runner, require_act
from tests.workflows.fake_github import BOT, REPOSITORY, FakeGitHub, serve_github

ACTION = "acme/reconciler/.github/actions/reconciler@" + "c0ffee" * 6 + "c0ff"
HOST = "hooks.acme.com.br"
WAVE = "./.github/workflows/apply-wave.yml"
BRANCH_REF = f"refs/heads/{DEFAULT_BRANCH}"


@dataclass
class Team:
    """The users of the repository: they write manifests, open and merge pull requests, read GitHub."""

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
        """Push straight to the default branch."""
        self.commit(message)
        git(self.clone, "push", "-q", "origin", f"HEAD:{DEFAULT_BRANCH}")
        return self.pushed()

    def add_environments(self, names: Iterable[str]) -> None:
        """Write a manifest for each name, with its own token and GitHub Environment."""
        for name in names:
            self.write(f"manifests/lojas/{name}.yaml", f"vars: {{host: {name}.acme.com.br}}\n")
            self.tokens[name] = canary(name)
            self.runner.environments[name] = {"PLUG_TOKEN": self.tokens[name]}
            self.github.environments.append(name)

    # --- pull requests ---------------------------------------------------------------------------------

    def open_pull(self, branch: str, *, fork: bool = False, actor: str = "ana") -> Event:
        """Open a pull request on the default branch with what was written."""
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
        """Commit what was written, and make a test merge, as GitHub does."""
        sha = self.commit("Work on it")
        git(self.clone, "push", "-q", "-f", "origin", f"{sha}:refs/pull/{number}/head")
        pull = self.github.pulls[number]
        pull["head"]["sha"] = sha
        pull["base"]["sha"] = git(self.clone, "rev-parse", DEFAULT_BRANCH).strip()
        return self.plan_event(number, actor=actor)

    def plan_event(self, number: int, *, action: str = "synchronize", actor: str = "ana") -> Event:
        """Return the event of a pull request, with its test merge on the present default branch."""
        pull = self.github.pulls[number]
        merged = self._merge_onto(DEFAULT_BRANCH, pull["head"]["sha"], "Trial")
        git(self.clone, "push", "-q", "-f", "origin", f"{merged}:refs/pull/{number}/merge")
        is_fork = pull["head"]["repo"]["full_name"] != REPOSITORY
        payload = {
            "action": action,
            "number": number,
            "pull_request": deepcopy(pull),
            "repository": self._repository,
        }
        read_only = is_fork or actor == "dependabot[bot]"
        return Event("pull_request", merged, f"refs/pull/{number}/merge", payload, actor=actor, is_fork=read_only)

    def group_event(self, number: int) -> Event:
        """Return the event of a merge queue's group of this one pull request, which the queue merged on a branch."""
        base = git(self.clone, "rev-parse", DEFAULT_BRANCH).strip()
        head = self._merge_onto(DEFAULT_BRANCH, self.github.pulls[number]["head"]["sha"], f"Merge #{number}")
        ref = f"refs/heads/gh-readonly-queue/{DEFAULT_BRANCH}/pr-{number}-{base}"
        git(self.clone, "push", "-q", "origin", f"{head}:{ref}")
        group = {"head_sha": head, "head_ref": ref, "base_sha": base, "base_ref": f"refs/heads/{DEFAULT_BRANCH}"}
        payload = {"action": "checks_requested", "merge_group": group, "repository": self._repository}
        return Event("merge_group", head, ref, payload, actor="github-merge-queue[bot]")

    def merge_pull(self, number: int) -> Event:
        pull = self.github.pulls[number]
        sha = self._merge_onto(DEFAULT_BRANCH, pull["head"]["sha"], f"Merge pull request #{number}")
        return self._land(number, sha)

    def squash_pull(self, number: int) -> Event:
        git(self.clone, "checkout", "-q", "--detach", DEFAULT_BRANCH)
        git(self.clone, "merge", "-q", "--squash", self.github.pulls[number]["head"]["sha"])
        git(self.clone, "commit", "-q", "-m", f"Squashed (#{number})")
        return self._land(number, git(self.clone, "rev-parse", "HEAD").strip())

    def _land(self, number: int, sha: str) -> Event:
        base = git(self.clone, "rev-parse", DEFAULT_BRANCH).strip()
        pull = self.github.pulls[number]
        self.github.pull_commits[number] = self._show_commits(f"{base}..{pull['head']['sha']}")[::-1]
        git(self.clone, "checkout", "-q", "-B", DEFAULT_BRANCH, sha)
        git(self.clone, "push", "-q", "origin", f"HEAD:{DEFAULT_BRANCH}")
        now = instant(datetime.now(UTC))
        pull |= {"state": "closed", "merged_at": now, "updated_at": now, "merge_commit_sha": sha}
        self.github.line = self._show_commits(sha)
        return self.pushed()

    def _merge_onto(self, base: str, head: str, message: str) -> str:
        """Merge outside every branch; what was written and not yet committed isn't changed."""
        tree = git(self.clone, "merge-tree", "--write-tree", base, head).strip()
        return git(self.clone, "commit-tree", tree, "-p", base, "-p", head, "-m", message).strip()

    def _show_commits(self, shown: str) -> list[dict[str, Any]]:
        lines = git(self.clone, "log", "--format=%H %P%x00%s", shown).splitlines()
        parts = [line.partition("\0") for line in lines]
        return [
            {"sha": shas.split()[0], "parents": [{"sha": one} for one in shas.split()[1:]], "commit": {"message": said}}
            for shas, _, said in parts
        ]

    @property
    def _repository(self) -> Mapping[str, Any]:
        return {"default_branch": DEFAULT_BRANCH, "full_name": REPOSITORY}

    # --- events and runs -------------------------------------------------------------------------------

    def pushed(self) -> Event:
        sha = git(self.clone, "rev-parse", DEFAULT_BRANCH).strip()
        return Event("push", sha, BRANCH_REF, {"ref": BRANCH_REF, "repository": self._repository})

    def scheduled(self) -> Event:
        return Event("schedule", self.pushed().sha, BRANCH_REF, {"schedule": "17 * * * *"})

    def by_hand(self, actor: str = "ana", **inputs: Any) -> Event:
        event = self.pushed()
        return Event("workflow_dispatch", event.sha, event.ref, event.payload, actor=actor, inputs=inputs)

    def run(self, name: str, event: Event) -> Run:
        """Run the workflow from the commit of the event."""
        read = {one: self._read_workflow(one, event.sha) for one in {name, "apply-wave"}}
        return self._show_run(name, self.runner.run(read[name], event, {WAVE: read["apply-wave"]}))

    def run_again(self, run: Run) -> Run:
        return self._show_run("apply", self.runner.run_again(run))

    def run_failed_again(self, run: Run) -> Run:
        return self._show_run("apply", self.runner.run_failed_again(run))

    def run_dispatched(self) -> Run:
        """Run the run that the workflow Drift has dispatched."""
        (asked,) = self.github.dispatched
        assert (asked["workflow"], asked["ref"]) == ("apply.yml", DEFAULT_BRANCH)
        return self.run("apply", self.by_hand(BOT, **asked["inputs"]))

    def show_run(self, run_id: int, event: Event, status: str, conclusion: str | None = None) -> None:
        """Make GitHub list a run of apply.yml with its last attempt."""
        shown = {
            "id": run_id,
            "head_sha": event.sha,
            "head_branch": DEFAULT_BRANCH,
            "status": status,
            "event": event.name,
            "conclusion": conclusion,
            "run_started_at": instant(datetime.now(UTC)),
            "actor": {"login": event.actor},
            "html_url": f"https://github.com/{REPOSITORY}/actions/runs/{run_id}",
        }
        self.github.runs = [*(one for one in self.github.runs if one["id"] != run_id), shown]

    def _show_run(self, name: str, run: Run) -> Run:
        if name == "apply":
            self.show_run(run.begun.run_id, run.begun.event, "completed", run.conclusion)
        return run

    def _read_workflow(self, name: str, sha: str) -> str:
        return git(self.remote, "show", f"{sha}:.github/workflows/{name}.yml")

    def applied(self, *names: str) -> None:
        """Apply what is written directly, which is faster than many jobs; without names, all of it."""
        environ = {
            **STARTED_WITH,
            **self.runner.environ,
            **self.runner.secrets,
            **{f"PLUG_TOKEN_{name.upper().replace('-', '_')}": token for name, token in self.tokens.items()},
            "PATH": os.environ["PATH"],
            "HOME": str(self.clone.parent),
        }
        code, _, err = FORKS.run(
            ["apply", "--yes", *(f"-e{name}" for name in names)], self.clone, environ, None, TIMEOUT_S
        )
        assert code == 0, err

    # --- Plug ------------------------------------------------------------------------------------------

    def plug_holds(self, environment: str, event: Webhook) -> str | None:
        company = self.sandbox.plug.companies.get(self.tokens[environment])
        return None if company is None else company.webhooks[event]

    def check_secrets(self) -> None:
        """Assert that GitHub and the remote keep no token or secret."""
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
    """Yield a repository after `init`, with hosts filled in and pushed, and secrets in two GitHub Environments."""
    require_act()
    remote = tmp_path / "plug-webhooks.git"
    git(tmp_path, "init", "-q", "--bare", "-b", DEFAULT_BRANCH, str(remote))
    with (remote / "config").open("a") as config:
        config.write("[receive]\n\tautogc = false\n")  # The repository lives for one test.
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
            github.environments = [*tokens, "plug-drift"]
            github.permissions |= {"bia": "write", "rui": "read"}
            made = Team(clone, remote, runner, github, plug, tokens)
            git(clone, "checkout", "-q", "-b", DEFAULT_BRANCH)
            made.push("Begin")
            yield made
            made.check_secrets()


def load(path: Path) -> dict[str, Any]:
    """Return a workflow or an action, parsed. Every value is a text, a list or a mapping."""
    loaded: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
    return loaded
