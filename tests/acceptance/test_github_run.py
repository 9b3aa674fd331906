"""The steps of an apply run as processes: the first job, the jobs of its waves, and a command of the action."""

from __future__ import annotations

import html
import json
import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.sandbox.server import Sandbox
from tests.acceptance.conftest import Cli, Ran, canary, wait_until
from tests.contract.remotes import git, make_clone, make_remote
from tests.workflows.fake_github import REPOSITORY, FakeGitHub, serve_github

STATE = "git:origin/reconciler-state"


@dataclass
class Repository:
    """A clone on `main`, its remote, GitHub, and the runner's variables."""

    cli: Cli
    github: FakeGitHub
    remote: Path
    run_id: int = 7001
    attempt: int = 1

    def push(self, message: str = "Work on it") -> str:
        git(self.cli.folder, "add", "-A")
        git(self.cli.folder, "commit", "-q", "-m", message)
        git(self.cli.folder, "push", "-q", "origin", "HEAD:main")
        return git(self.cli.folder, "rev-parse", "HEAD").strip()

    def check_out(self, commit: str) -> None:
        """Check out a commit, as the jobs of an older run do."""
        git(self.cli.folder, "checkout", "-q", "--detach", commit)

    def environ(self, inputs: Mapping[str, Any] | None, more: Mapping[str, str | None]) -> dict[str, str | None]:
        event = {"repository": {"default_branch": "main"}, "inputs": dict(inputs or {})}
        (self.cli.root / "event.json").write_text(json.dumps(event))
        for name in ("output", "summary"):
            (self.cli.root / name).write_text("")
        (token,) = self.github.tokens
        return {
            **{name: None for name in self.cli.environ if name.startswith("PLUG_TOKEN_")},
            "GITHUB_API_URL": self.github.url,
            "GITHUB_EVENT_PATH": str(self.cli.root / "event.json"),
            "GITHUB_OUTPUT": str(self.cli.root / "output"),
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_RUN_ATTEMPT": str(self.attempt),
            "GITHUB_RUN_ID": str(self.run_id),
            "GITHUB_SERVER_URL": "http://127.0.0.1",
            "GITHUB_SHA": git(self.cli.folder, "rev-parse", "HEAD").strip(),
            "GITHUB_STEP_SUMMARY": str(self.cli.root / "summary"),
            "GITHUB_TOKEN": token,
            "PLUG_APPLY": "true",
            "RECONCILER_STATE": STATE,
            "RUNNER_TEMP": str(self.cli.root / "temp"),
            **more,
        }

    def merged(self, number: int, commit: str, label: str | None = None) -> None:
        """Merge a pull request as this commit, with a label that bia has set."""
        self.github.pulls[number] = {
            "number": number,
            "merged_at": "2026-11-23T12:00:00Z",
            "merge_commit_sha": commit,
            "base": {"ref": "main"},
            "head": {"sha": commit, "repo": {"full_name": REPOSITORY}},
        }
        if label is not None:
            self.github.set_label(number, label, "bia")

    def begin(self, inputs: Mapping[str, Any] | None = None, **more: str) -> Ran:
        return self.cli.run("github", "run", "begin", env=self.environ(inputs, more))

    def apply(self, job: Mapping[str, Any], inputs: Mapping[str, Any] | None = None, **more: str) -> Ran:
        """Run a job's step. If its tokens are not in a secret shared by several, it has its own."""
        if not job["tokens"]:
            more = {"PLUG_TOKEN": self.cli.token(job["name"]), **more}
        given = {"RECONCILER_JOB": json.dumps(job), **more}
        return self.cli.run("github", "run", "apply", env=self.environ(inputs, given))

    def command(self, *words: str, **more: str) -> Ran:
        return self.cli.run("github", "run", "command", "--", *words, env=self.environ(None, more))

    @property
    def outputs(self) -> dict[str, str]:
        text = (self.cli.root / "output").read_text()
        return {name: value for name, _, value in re.findall(r"([\w-]+)<<(\S+)\n(.*?)\n\2\n", text, re.DOTALL)}

    @property
    def summary(self) -> str:
        return (self.cli.root / "summary").read_text()

    @property
    def jobs(self) -> list[dict[str, Any]]:
        """Return the jobs that the last `begin` made, in the order of their steps."""
        return [job for number in range(1, 9) for job in json.loads(self.outputs[f"step_{number}"])]

    def document(self, name: str) -> Any:
        return json.loads(git(self.remote, "show", f"reconciler-state:{name}.json"))


@pytest.fixture
def repository(cli: Cli) -> Iterator[Repository]:
    """Yield a repository with `loja` in wave 0 and `matriz` in wave 1, pushed and never applied."""
    remote = make_remote(cli.root)
    cli.folder = make_clone(remote, cli.root / "checkout")
    cli.fleet("loja")
    cli.environ[cli.token_env("matriz")] = canary()
    cli.manifest("matriz", wave=1)
    with serve_github() as github:
        github.tokens[canary("github")] = {"actions": "read", "contents": "write", "pull-requests": "read"}
        github.environments = ["loja", "Matriz", "plug-fleet"]
        made = Repository(cli, github, remote)
        made.push("Begin")
        yield made


def test_a_run_is_begun_and_applied_wave_by_wave(repository: Repository) -> None:
    """Afterwards nothing is left to do. The jobs send no request to GitHub's API."""
    assert repository.begin().code == 0
    head = git(repository.cli.folder, "rev-parse", "HEAD").strip()
    assert (repository.outputs["commit"], repository.outputs["planned"]) == (head, '["loja","matriz"]')
    jobs = repository.jobs
    assert [(job["name"], job["environment"], job["wave"]) for job in jobs] == [
        ("loja",) * 2 + (0,),
        ("matriz",) * 2 + (1,),
    ]
    assert "## Apply: 2 environments in 2 steps" in repository.summary and "2 to create" in repository.summary
    asked = list(repository.github.requests)
    for job in jobs:
        ran = repository.apply(job)
        assert (ran.code, repository.outputs["exit-code"]) == (0, "0"), ran.err
        assert "## Result: 1 applied." in repository.summary
        assert repository.cli.held(job["name"]) == repository.cli.desired(job["name"])
    assert repository.github.requests == asked
    assert repository.document("loja")["applied"]["by"]["run"] == "7001/1"
    assert repository.begin().code == 0
    assert (repository.jobs, repository.outputs["planned"]) == ([], "[]")
    assert "nothing to do" in repository.summary


def test_a_run_is_refused_before_any_job_starts(repository: Repository) -> None:
    """The reason is first in the summary, and an output for the last job."""
    repository.github.environments = ["loja"]
    ran = repository.begin({"accept_account_change": "nobody"}, PLUG_TOKEN_IS_VISIBLE="true")
    assert ran.code == 3
    assert repository.outputs.keys().isdisjoint({"planned", "step_1"})
    for reason in ("'nobody' is not an environment", "GitHub Environment matriz does not exist", "PLUG_TOKEN"):
        assert reason in ran.err and reason in repository.outputs["failure"]
        assert reason in html.unescape(repository.summary)
    assert repository.summary.startswith("## Refused\n")


@pytest.mark.parametrize("named", ["manifests", "reconciler.toml"])
def test_a_run_of_a_commit_whose_rules_are_behind_a_link_is_refused(repository: Repository, named: str) -> None:
    """No review has compared what is behind it."""
    folder = repository.cli.folder
    repository.cli.write("reconciler.toml", "")
    (folder / named).rename(folder / "behind")
    (folder / named).symlink_to("behind")
    assert repository.begin().code == 3
    assert f"{named} is" in repository.outputs["failure"] and "symbolic link" in repository.outputs["failure"]
    assert "step_1" not in repository.outputs


def test_strict_sends_only_what_a_merged_pull_request_desired(repository: Repository) -> None:
    """A direct push is refused, with the digest for a run by hand; what a pull request desired is sent."""
    ran = repository.begin(PLUG_STRICT="true")
    assert ran.code == 3 and "it came with no merged pull request" in ran.err
    (digest,) = re.findall("expect=(sha256:[0-9a-f]{64})", repository.outputs["failure"])
    assert repository.begin({"expect": digest}, PLUG_STRICT="true").code == 0
    commit = git(repository.cli.folder, "rev-parse", "HEAD").strip()
    repository.merged(3, commit)
    assert repository.begin(PLUG_STRICT="true").code == 0


def test_a_label_lifts_a_guard_by_name(repository: Repository) -> None:
    """Its setter can write, and the merge of its pull request made the commit."""
    repository.begin()
    for job in repository.jobs:
        assert repository.apply(job).code == 0
    repository.cli.manifest("loja", version="2")
    commit = repository.push("Change it")
    ran = repository.begin(RECONCILER_MAX_CHANGED="0")
    assert ran.code == 3 and "set the label `reconciler: large change`" in ran.err
    repository.merged(3, commit, "reconciler: large change")
    ran = repository.begin(RECONCILER_MAX_CHANGED="0")
    assert ran.code == 3 and "bia is not known to have it" in ran.err
    repository.github.permissions["bia"] = "write"
    assert repository.begin(RECONCILER_MAX_CHANGED="0").code == 0
    lifted = "the label “reconciler: large change”, set by bia on #3, lifts its guard"
    assert repository.outputs["lifted"] == lifted and "set by bia on #" in repository.summary


def test_a_job_without_its_token_names_the_missing_secret_and_its_location(repository: Repository) -> None:
    """Exit 3: nothing was sent or written."""
    repository.begin()
    first = repository.jobs[0]
    ran = repository.apply(first, PLUG_TOKEN="", PLUG_SECRET_RECEIVE="")
    assert ran.code == 3 and "no token for loja (add the secret PLUG_TOKEN to the GitHub Environment loja" in ran.err
    assert "the variable PLUG_SECRET_RECEIVE is empty (" in ran.err and "secret set PLUG_SECRET_RECEIVE" in ran.err
    repository.begin(PLUG_TOKENS_FROM="secret")
    (fleet,) = repository.jobs
    ran = repository.apply(fleet, PLUG_SECRET_RECEIVE="")
    assert ran.code == 3 and ran.err.count("PLUG_TOKENS: the secret is not set") == 1 and "plug-fleet" in ran.err
    assert "the variable PLUG_SECRET_RECEIVE is empty (" in ran.err
    ran = repository.apply(fleet, PLUG_TOKENS=json.dumps({"loja": repository.cli.token("loja")}))
    assert ran.code == 3 and "put matriz into the secret PLUG_TOKENS of the GitHub Environment plug-fleet" in ran.err
    assert "reconciler-state" not in git(repository.remote, "branch")


def test_tokens_that_can_not_be_read_hide_nothing_else_that_is_wrong(repository: Repository) -> None:
    """One run reports all of it: a missing secret, unreadable secrets, invalid manifests."""
    repository.begin(PLUG_TOKENS_FROM="secret")
    (fleet,) = repository.jobs
    unreadable = "PLUG_TOKENS:2:1: tokens_file: is neither YAML nor JSON"
    ran = repository.apply(fleet, PLUG_TOKENS="[", PLUG_SECRET_RECEIVE="")
    assert ran.code == 3 and unreadable in ran.err and "the variable PLUG_SECRET_RECEIVE is empty (" in ran.err
    ran = repository.apply(fleet, PLUG_TOKENS="[", PLUG_SECRETS="x", PLUG_SECRET_RECEIVE="")
    assert ran.code == 3 and unreadable in ran.err and "PLUG_SECRETS:1:1: secrets_file: is not a mapping" in ran.err
    assert "PLUG_SECRET_RECEIVE is empty" not in ran.err
    (repository.cli.folder / "manifests/loja.yaml").write_text("wave: x\n")
    ran = repository.apply(fleet, PLUG_TOKENS="[")
    assert ran.code == 3 and unreadable in ran.err and "manifests/loja.yaml:1:7: wave" in ran.err
    ran = repository.command("plan", PLUG_TOKENS="[", PLUG_SECRETS="x")
    assert ran.code == 3 and unreadable in ran.err and "PLUG_SECRETS:1:1" in ran.err
    assert "reconciler-state" not in git(repository.remote, "branch")


def test_a_fleet_is_applied_with_the_tokens_of_secrets(repository: Repository) -> None:
    """They run in shards, each with its own tokens; a webhook's secret is also available."""
    cli = repository.cli
    repository.begin(PLUG_TOKENS_FROM="secret", PLUG_SHARDS="5")
    assert [job["environment"] for job in repository.jobs] == ["plug-fleet"] * 2
    for job, name in zip(repository.jobs, ("loja", "matriz"), strict=True):
        assert job["tokens"] == f"PLUG_TOKENS_{job['shard'][0]}"
        secrets = {"PLUG_SECRET_RECEIVE": cli.environ["PLUG_SECRET_RECEIVE"]}
        ran = repository.apply(
            job,
            PLUG_TOKENS=json.dumps({name: cli.token(name)}),
            PLUG_SECRETS=json.dumps(secrets),
            PLUG_SECRET_RECEIVE="",
        )
        assert ran.code == 0, ran.err
        assert cli.held(name) == cli.desired(name)


@pytest.mark.posix
def test_the_log_has_the_result_although_the_disk_is_full(repository: Repository) -> None:
    """The summary can't be written any more when the PUT is done."""
    repository.begin()
    ran = repository.apply(repository.jobs[0], GITHUB_STEP_SUMMARY="/dev/full")
    assert (ran.code, "1 applied" in ran.out) == (1, True)
    assert "error: GITHUB_STEP_SUMMARY: /dev/full can't be written: " in ran.err
    assert repository.cli.held("loja") == repository.cli.desired("loja")


def test_a_rerun_job_of_an_older_commit_sends_nothing_old(repository: Repository) -> None:
    """A fails, B reverts it, A's failed jobs run again: they would put A over B."""
    cli = repository.cli
    cli.manifest("loja", version="2")
    old = repository.push("A")
    repository.begin()
    first, second = repository.jobs
    cli.manifest("loja", version="3")
    cli.manifest("matriz", wave=1, more="# B\n")
    repository.push("B")
    repository.check_out(old)
    repository.attempt = 2
    ran = repository.apply(first)
    assert ran.code == 4 and "a newer commit decides: main is at " in ran.err
    assert "is not known to want the same of loja as" in ran.err
    assert cli.puts("loja") == 0
    assert repository.apply(second).code == 0  # B desires the same for this environment.
    repository.attempt = 1
    assert repository.apply(first).code == 0


def test_with_an_invalid_head_nothing_is_sent(repository: Repository) -> None:
    """The desired webhooks are unknown then, as they are when the head can't be read."""
    repository.begin()
    first, _ = repository.jobs
    old = git(repository.cli.folder, "rev-parse", "HEAD").strip()
    repository.cli.write("manifests/loja.yaml", "wave: soon\n")
    repository.push("Break it")
    repository.check_out(old)
    repository.attempt = 2
    ran = repository.apply(first)
    assert ran.code == 4 and "a newer commit decides" in ran.err
    git(repository.cli.folder, "remote", "set-url", "origin", str(repository.cli.root / "gone"))
    ran = repository.apply(first)
    assert ran.code == 4 and "the head of main can't be read" in ran.err
    assert repository.cli.puts("loja") == 0


def test_a_job_that_waits_for_an_earlier_wave_sends_nothing(repository: Repository) -> None:
    """It fails and names the environment that it waits for."""
    repository.begin()
    _, second = repository.jobs
    ran = repository.apply({**second, "waits": True})
    assert ran.code == 1 and "an earlier wave is not done: loja" in ran.out
    assert "1 skipped" in repository.summary and repository.cli.puts("matriz") == 0


@pytest.mark.parametrize("job", ["", "{", "[]", '{"name": "loja"}'])
def test_an_invalid_job_is_refused(repository: Repository, job: str) -> None:
    """The workflow didn't make it."""
    ran = repository.cli.run("github", "run", "apply", env=repository.environ(None, {"RECONCILER_JOB": job}))
    assert ran.code == 3 and "RECONCILER_JOB" in ran.err


def test_every_token_is_masked_before_any_other_output(repository: Repository) -> None:
    """One GitHub secret holds many tokens, and the runner masks only the whole."""
    cli = repository.cli
    repository.begin(PLUG_TOKENS_FROM="secret")
    (fleet,) = repository.jobs
    tokens = {name: cli.token(name) for name in ("loja", "matriz")}
    given = {"RECONCILER_JOB": json.dumps(fleet), "PLUG_TOKENS": json.dumps(tokens), "GITHUB_ACTIONS": "true"}
    _, err = cli.start("github", "run", "apply", env=repository.environ(None, given)).process.communicate()
    lines = err.decode().splitlines()
    assert set(lines[1:3]) == {f"::add-mask::{token}" for token in tokens.values()}
    assert lines[0].startswith("::add-mask::")  # Masks the value that git sends to the server.
    assert not any(token in line for token in tokens.values() for line in lines[3:])


def test_a_command_leaves_its_result_for_the_workflow(repository: Repository) -> None:
    """Outputs, summary and files; exit 2 is a result, and the summary has what stopped a command."""
    cli = repository.cli
    assert repository.command("plan").code == 0
    outputs = repository.outputs
    assert (outputs["changed"], outputs["environments"]) == ("true", '["loja","matriz"]')
    assert outputs["digest"].startswith("sha256:") and "2 to create" in repository.summary
    result = Path(outputs["result"])
    assert sorted(path.name for path in result.iterdir()) == ["result.json", "result.md", "summary.md"]
    assert result.parent == Path(outputs["artifact"])
    ran = repository.command("drift")
    assert (ran.code, repository.outputs["exit-code"], repository.outputs["healable"]) == (0, "2", "true")
    tokens = json.dumps({name: cli.token(name) for name in ("loja", "matriz")})
    assert repository.command("apply", "--yes", PLUG_TOKENS=tokens).code == 0
    assert cli.held("matriz") == cli.desired("matriz") and "2 applied" in repository.summary
    cli.manifest("loja", version="2")
    ran = repository.command("apply", "--yes", "-e", "loja", "--format", "json")
    assert (ran.code, ran.out, repository.outputs["exit-code"]) == (3, "", "3")
    assert "no token for loja" in repository.outputs["failure"]
    assert repository.summary.startswith("## Refused\n")
    ran = repository.command("apply", "--yes", "--", "gone.json")
    assert ran.code == 3 and "PLANFILE: gone.json can't be read" in ran.err
    assert repository.command("plan", "--nonsense").code == 3
    assert "no such option" in repository.summary.lower()  # click words it in several ways


def test_a_cancelled_job_writes_what_it_did(repository: Repository, sandbox: Sandbox) -> None:
    """The runner sends SIGINT and later SIGTERM, which changes nothing: state, outputs and summary are written.

    This uses the git store, whose writes wait for each other.
    """
    cli = repository.cli
    repository.begin(PLUG_TOKENS_FROM="secret")
    (fleet,) = repository.jobs
    sandbox.plug.options = replace(sandbox.plug.options, latency_s=1.5)
    before = sandbox.plug.requests
    tokens = json.dumps({name: cli.token(name) for name in ("loja", "matriz")})
    given = {"RECONCILER_JOB": json.dumps(fleet), "PLUG_TOKENS": tokens}
    running = cli.start("github", "run", "apply", env=repository.environ(None, given))
    wait_until(lambda: sandbox.plug.requests > before, "the PUT under way")
    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGTERM)
    ran = running.finish()
    assert ran.code == 130, ran.err
    assert (repository.outputs["exit-code"], "1 applied, 1 skipped" in repository.summary) == ("130", True)
    assert repository.document("loja")["intent"] is None
    assert repository.document("loja")["applied"]["by"]["run"] == "7001/1"
    assert cli.held("loja") == cli.desired("loja") and sandbox.plug.requests == before + 1
