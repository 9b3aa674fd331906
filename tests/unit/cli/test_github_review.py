"""The job `Webhooks plan`, in this process, over real commits and a strict GitHub: when it is red, and its comment."""

from __future__ import annotations

import contextlib
import html
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from reconciler.cli.main import run
from reconciler.cli.session import Session
from reconciler.core.record import adopt
from reconciler.model import EVENTS, By, Fingerprint
from reconciler.ports import Write
from tests.acceptance.conftest import canary
from tests.contract.remotes import git
from tests.fakes import START
from tests.fuzz.hostile import Drove
from tests.workflows.fake_github import REPOSITORY, FakeGitHub, serve_github

HOST = "hooks.acme.com.br"
LARGE, FIRST = "reconciler: large change", "reconciler: first apply"
QUEUE = "refs/heads/gh-readonly-queue/main/pr-4-" + "0" * 40


@dataclass
class Place:
    """A repository with a pull request, checked out as its job does, and the runner's variables."""

    folder: Path
    github: FakeGitHub
    monkeypatch: pytest.MonkeyPatch
    event: dict[str, Any] = field(default_factory=dict)
    head: str = ""
    base: str = ""

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def fleet(self, *names: str, path: str = "v1", more: str = "") -> None:
        lines = [f"{more}webhooks:", *(f"  {event}: https://{HOST}/{{environment}}/{path}" for event in EVENTS)]
        self.write("manifests/_defaults.yaml", "\n".join(lines) + "\n")
        for name in names:
            self.write(f"manifests/{name}.yaml", "wave: 0\n")

    def commit(self, message: str = "Work on it") -> str:
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-q", "-m", message)
        return git(self.folder, "rev-parse", "HEAD").strip()

    def adopt(self, *names: str) -> None:
        """Write the state as it is after these were applied."""
        session = Session(folder=self.folder)
        applied = [one for one in session.desired if one.environment in names]
        documents = [adopt(None, one, Fingerprint(), START, By(), lineage="l") for one in applied]
        written = session.store.write([Write(one.environment, one, None) for one in documents])
        assert all(one.error is None for one in written)
        session.close()

    def branch(self) -> None:
        """Begin the pull request's branch."""
        git(self.folder, "checkout", "-q", "-b", "work")

    def open(self, *, fork: bool = False) -> None:
        """Commit what was written as the pull request's head."""
        self.head = self.commit()
        repo = {"full_name": "eve/hooks" if fork else REPOSITORY}
        self.github.pulls[4] = {"number": 4, "state": "open", "head": {"sha": self.head, "repo": repo}, "labels": []}
        self.event = {"pull_request": json.loads(json.dumps(self.github.pulls[4]))}

    def merge(self) -> str:
        """Make the test merge of the head into main, and check it out."""
        self.base = git(self.folder, "rev-parse", "main").strip()
        git(self.folder, "checkout", "-q", "--detach", "main")
        git(self.folder, "merge", "-q", "--no-ff", "-m", "Trial", self.head)
        return git(self.folder, "rev-parse", "HEAD").strip()

    def review(self, environ: Mapping[str, str] = MappingProxyType({}), *, attempt: int = 1, run_id: int = 7) -> Drove:
        (self.folder.parent / "event.json").write_text(json.dumps(self.event))
        summary = self.folder.parent / "summary.md"
        summary.unlink(missing_ok=True)
        values = {"GITHUB_RUN_ID": str(run_id), "GITHUB_RUN_ATTEMPT": str(attempt), **environ}
        for name, value in values.items():
            self.monkeypatch.setenv(name, value)
        self.monkeypatch.setenv("GITHUB_SHA", git(self.folder, "rev-parse", "HEAD").strip())
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run(["github", "run", "review"])
        lines = err.getvalue().splitlines(keepends=True)
        said = "".join(line for line in lines if not line.startswith("::add-mask::"))
        assert os.environ["GITHUB_TOKEN"] not in out.getvalue() + said + self.summary
        return Drove(code, out.getvalue(), said)

    @property
    def summary(self) -> str:
        return (self.folder.parent / "summary.md").read_text()

    @property
    def comment(self) -> str:
        (text,) = self.github.comment_texts(4)
        return text


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A repository with two environments on main, of which nothing was ever applied."""
    folder = tmp_path / "work"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    with serve_github() as hub:
        token = canary()
        hub.tokens[token] = {"pull-requests": "write", "contents": "read"}
        hub.permissions = {"ana": "write", "bob": "read", "eva": "admin"}
        variables = {
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
            "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
            "GITHUB_API_URL": hub.url,
            "GITHUB_TOKEN": token,
            "GITHUB_ACTOR": "ana",
            "RECONCILER_STATE": str(tmp_path / "state"),
            "RUNNER_ENVIRONMENT": "self-hosted",  # which may keep the state in a folder
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.chdir(folder)
        made = Place(folder, hub, monkeypatch)
        made.fleet("loja", "matriz")
        made.commit("Begin")
        yield made


def test_the_plan_of_the_test_merge_is_one_comment_that_names_head_and_base(place: Place) -> None:
    """A later push updates it. An empty state is its first line, and never red."""
    place.branch()
    place.write("manifests/loja.yaml", "wave: 1\n")
    place.open()
    place.merge()
    drove = place.review()
    assert (drove.code, drove.err.splitlines()[-1]) == (0, f"comment created: {place.github.url}/c")
    assert place.comment.startswith("<!-- reconciler:plan -->\n<!-- reconciler:run 7/1 done -->\n")
    assert "This changes 1 environment: `loja`." in place.comment
    assert "1 environment of the plan is not changed by this and doesn't count here: `matriz`." in place.comment
    assert "**New state:** nothing was ever applied" in place.comment
    assert f"sets the label `{FIRST}`" in place.comment
    assert f"head <code>{place.head[:12]}</code>, base <code>{place.base[:12]}</code>" in place.comment
    assert place.comment.split("\n", 2)[2].strip() == place.summary.strip()
    git(place.folder, "checkout", "-q", "work")
    place.write("manifests/loja.yaml", "wave: 2\n")
    place.open()
    place.merge()
    assert place.review(run_id=8).code == 0
    assert "<!-- reconciler:run 8/1 done -->" in place.comment and place.head[:12] in place.comment


def test_a_reviewer_sees_what_the_merge_needs_elsewhere(place: Place) -> None:
    """A secret without its line, a new environment, and a possible rename. None of it is red."""
    place.write(".github/workflows/apply-wave.yml", "env:\n  PLUG_SECRET_RECEIVE: x\n")
    place.write(".github/workflows/drift.yml", "env:\n  PLUG_SECRET_RECEIVE: x\n")
    git(place.folder, "checkout", "-q", "main")
    place.commit("Workflows")
    place.branch()
    (place.folder / "manifests/loja.yaml").unlink()
    url = f"https://{HOST}/padaria?key={{secret:PLUG_SECRET_STATUS}}"
    place.write("manifests/padaria.yaml", f"webhooks:\n  messageStatus: {url}\n")
    place.open()
    place.merge()
    drove = place.review()
    assert drove.code == 0
    for said in (
        "apply-wave.yml has no line for {secret:PLUG_SECRET_STATUS}, so the apply of padaria would be refused",
        "`PLUG_SECRET_STATUS: ${{ secrets.PLUG_SECRET_STATUS }}`",
        "`reconciler github setup -e padaria`",
        "`reconciler state rename loja padaria`",
    ):
        assert said.replace("`", "") in html.unescape(place.comment).replace("`", "") and said in drove.err
    assert place.review({"PLUG_TOKENS_FROM": "secret"}, run_id=8).code == 0
    assert "github setup" not in place.comment and "PLUG_SECRET_STATUS }}" not in place.comment


def test_only_what_the_merge_itself_changes_is_counted(place: Place) -> None:
    """Earlier merges that are not applied yet make no other pull request red; the comment mentions them."""
    names = [f"loja-{number:02}" for number in range(12)]
    place.fleet(*names)
    place.commit("Twelve")
    place.adopt(*names)
    place.fleet(*names, path="v2")
    place.commit("All twelve, merged and not applied")
    place.branch()
    place.write("manifests/loja-00.yaml", "wave: 1\n")
    place.open()
    place.merge()
    assert place.review().code == 0
    assert (
        "With what was merged before and is not applied yet, the apply run would refuse: max_changed" in place.comment
    )
    assert "## Refused" not in place.comment


@pytest.fixture
def large(place: Place) -> Place:
    """A pull request that changes all of twelve applied environments."""
    names = [f"loja-{number:02}" for number in range(12)]
    place.fleet(*names)
    place.commit("Twelve")
    place.adopt(*names)
    place.branch()
    place.fleet(*names, path="v2")
    place.open()
    place.merge()
    return place


def test_a_large_change_is_red_until_a_user_with_write_permission_sets_the_label(large: Place) -> None:
    """The name is shown. A label of another user, or one that was removed again, lifts nothing."""
    drove = large.review()
    assert drove.code == 3
    assert "max_changed: 12 of 12 applied environments would be updated, at most 6 are allowed (50%)" in drove.err
    assert f'if that is meant: set the label "{LARGE}"' in drove.err
    assert "## Refused" in large.comment
    large.github.set_label(4, LARGE, "bob")
    assert large.review(attempt=2).code == 3
    assert f"The label `{LARGE}` doesn't count: `bob` is not known to have write permission." in large.comment
    large.github.set_label(4, LARGE, "bob", event="unlabeled")
    assert large.review(attempt=3).code == 3
    large.github.set_label(4, LARGE, "ana")
    assert large.review(attempt=4).code == 0
    assert f"This is meant: `ana` set the label `{LARGE}`." in large.comment
    assert "## Refused" not in large.comment


def test_a_label_whose_setter_is_not_known_does_not_count(large: Place) -> None:
    """The user was deleted, or the lookup fails."""
    large.github.set_label(4, LARGE, None)
    assert large.review().code == 3
    assert "its setter is not known to have write permission" in large.comment
    large.github.set_label(4, LARGE, "left-the-team")
    assert large.review(attempt=2).code == 3


def test_a_merge_does_not_loosen_the_guard_that_it_is_measured_by(large: Place) -> None:
    """The loosened rule is shown first."""
    git(large.folder, "checkout", "-q", "work")
    large.write("reconciler.toml", 'max_changed = "100%"\n[policy]\ndenied_hosts = ["x.com"]\n')
    large.write(".github/workflows/plan.yml", "on: push\n")
    large.fleet(path="v2", more="policy: {allowed_hosts: ['*.acme.com.br']}\n")
    large.open()
    large.merge()
    assert large.review().code == 3
    text = large.comment.split("\n", 2)[2]
    assert text.startswith("## This also changes the rules\n\n- the setting `max_changed`: `50%` → `100%`\n")
    assert "- the setting `policy.denied_hosts`: `+ x.com`\n" in text
    assert "- the policy of 14 environments: `loja`, `loja-00`" in text
    assert "- `.github/workflows/plan.yml`\n" in text
    assert "12 of 12" in text


def test_a_change_that_the_plan_does_not_show_is_shown_with_base_and_merge(place: Place) -> None:
    """The state was made to hold a new URL already, and a lost pin sends nothing. The pin is a rule."""
    place.write("manifests/loja.yaml", "organization_id: org-1\n")
    place.commit("Pin it")
    place.branch()
    place.write("manifests/loja.yaml", "webhooks: {messageStatus: 'https://evil.acme.com.br/x'}\n")
    place.open()
    place.merge()
    place.adopt("loja", "matriz")
    assert place.review().code == 0
    text = place.comment.split("\n", 2)[2]
    assert text.startswith("## This also changes the rules\n\n- 1 environment lost `organization_id`: `loja`\n")
    assert f"# messageStatus\n- https://{HOST}/loja/v1\n+ https://evil.acme.com.br/x\n# org" in text
    assert "Nothing to do." in text


def test_errors_are_red_and_shown_in_place_of_a_plan(place: Place) -> None:
    """They are shown with their lines."""
    place.branch()
    place.write("manifests/loja.yaml", "wave: x\n")
    place.open()
    place.merge()
    drove = place.review()
    assert drove.code == 3
    assert "manifests/loja.yaml:1:7: wave:" in drove.err
    assert "\n## Invalid: 1 error, no warnings." in place.comment
    assert "This changes" not in place.comment


def test_a_reserved_host_is_red_only_if_the_merge_brings_it(place: Place) -> None:
    """Apply would refuse it."""
    place.write("manifests/old.yaml", "webhooks: {messageStatus: 'https://hooks.example.com/x'}\n")
    place.commit("Merged past the review")
    place.branch()
    place.write("manifests/loja.yaml", "wave: 1\n")
    place.open()
    place.merge()
    assert place.review().code == 0
    git(place.folder, "checkout", "-q", "work")
    place.write("manifests/new.yaml", "webhooks: {messageStatus: 'https://hooks.example.org/x'}\n")
    place.open()
    place.merge()
    drove = place.review(run_id=8)
    assert drove.code == 3
    assert "hooks.example.org" in drove.err and "hooks.example.com" not in drove.err.split("error: ", 1)[1]


def test_a_base_that_can_not_be_read_makes_everything_count(place: Place) -> None:
    """The pull request that repairs it must be able to pass."""
    place.write("manifests/loja.yaml", "wave: x\n")
    place.commit("Broken on main")
    place.branch()
    place.write("manifests/loja.yaml", "wave: 1\n")
    place.open()
    place.merge()
    assert place.review().code == 0
    assert "The base can't be compared, so every environment counts as changed.\n" in place.comment
    assert "This changes 2 environments: `loja`, `matriz`." in place.comment


def test_rules_that_can_not_be_compared_with_the_base_are_shown_with_their_files(place: Place) -> None:
    """Two merged pull requests name the same environment. No path of a temporary folder is shown."""
    place.fleet(more="policy: {denied_hosts: ['*.ngrok-free.app']}\n")
    place.write("manifests/b/again.yaml", "environment: loja\n")
    place.commit("Both are merged")
    place.branch()
    (place.folder / "manifests/b/again.yaml").unlink()
    place.fleet()
    place.open()
    place.merge()
    assert place.review().code == 0
    text = place.comment.split("\n", 2)[2]
    assert text.startswith(
        "## This also changes the rules\n\n- the policy could not be compared with the base: "
        "manifests/b/again.yaml:1:1: environment: loja is in manifests/loja.yaml:1 too"
    )
    assert "\n- `manifests/_defaults.yaml`\n" in text
    assert "reconciler-review-" not in place.comment + place.summary


@pytest.mark.parametrize("named", ["reconciler.toml", "manifests"])
def test_a_change_behind_a_symbolic_link_is_never_taken_for_no_change(
    place: Place, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """The link itself is red. If it was merged past the review, nothing behind it is taken for the base's rules.

    An absolute link of the base leads to the files of the merge.
    """
    monkeypatch.delenv("RECONCILER_STATE")
    place.write("reconciler.toml", f"state = {str(place.folder.parent / 'state')!r}\nmax_changed = '0'\n")
    place.adopt("loja", "matriz")
    place.commit("Rules")
    place.branch()
    (place.folder / named).rename(place.folder / "behind")
    (place.folder / named).symlink_to(place.folder / "behind")
    place.open()
    place.merge()
    drove = place.review()
    assert (drove.code, "symbolic link" in place.comment) == (3, True)
    git(place.folder, "checkout", "-q", "-B", "main")
    git(place.folder, "branch", "-q", "-D", "work")
    place.branch()
    (place.folder / named).unlink()
    copy = shutil.copytree if named == "manifests" else shutil.copy
    copy(place.folder / "behind", place.folder / named)
    toml = (place.folder / "reconciler.toml").read_text()
    place.write("reconciler.toml", toml.replace("'0'", "'100%'") + "[policy]\ndenied_hosts = ['x.com']\n")
    place.fleet(path="v2")
    (shutil.rmtree if named == "manifests" else os.unlink)(place.folder / "behind")
    copy(place.folder / named, place.folder / "behind")
    place.open()
    place.merge()
    assert place.review(run_id=8).code == 3
    text = place.comment.split("\n", 2)[2]
    if named == "manifests":
        assert "- the policy could not be compared with the base: manifests: manifests is reached through" in text
        assert "- the setting `max_changed`: `0` → `100%`\n" in text
        assert "2 of 2 applied environments would be updated, at most 0 are allowed" in text
    else:
        assert "- the settings and the policy could not be compared with the base: settings: reconciler" in text
        assert "2 of 2 applied environments would be updated, and the limit of the base is not known" in text
        assert "- `reconciler.toml`\n" in text
    place.github.set_label(4, LARGE, "ana")
    assert place.review(attempt=2, run_id=8).code == 0


def test_a_new_repository_s_first_pull_request_is_compared_with_nothing(place: Place) -> None:
    """Its base has no manifests at all."""
    git(place.folder, "rm", "-rq", "manifests")
    place.commit("None")
    place.branch()
    place.fleet("loja")
    place.open()
    place.merge()
    assert place.review().code == 0
    assert "This changes 1 environment: `loja`." in place.comment


def test_the_base_is_read_at_the_same_paths_as_the_merge(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings are at the top, manifests below, and the job runs in another folder of the repository."""
    git(place.folder, "mv", "manifests", "hooks")
    place.write("reconciler.toml", 'manifests = "hooks"\n')
    place.write("ops/README", "run here")
    place.commit("Move")
    place.branch()
    place.write("hooks/loja.yaml", "wave: 1\n")
    place.write("reconciler.toml", 'manifests = "hooks"\ntimeout = "20s"\n')
    place.open()
    place.merge()
    monkeypatch.chdir(place.folder / "ops")
    assert place.review().code == 0
    assert "This changes 1 environment: `loja`." in place.comment
    assert "## This also changes the rules\n\n- the setting `timeout`: `30` → `20`\n\n" in place.comment
    assert "The base can't be compared" not in place.comment


def test_manifests_outside_of_the_repository_are_never_compared_with_themselves(place: Place) -> None:
    """They are not in any commit, so all of them count as changed."""
    outside = place.folder.parent / "outside"
    (place.folder / "manifests").rename(outside)
    place.write("README", "x")
    place.commit("Move them out")
    place.branch()
    place.write("README", "y")
    place.open()
    place.merge()
    assert place.review({"RECONCILER_MANIFESTS": str(outside)}).code == 0
    assert "The base can't be compared" in place.comment
    assert "This changes 2 environments" in place.comment


@pytest.mark.parametrize("reason", ["closed", "moved while it ran"])
def test_nothing_is_posted_if_the_plan_is_not_of_the_present_head(place: Place, reason: str) -> None:
    """The run is late, or repeated. The summary says so; the check counts only for its own commit."""
    place.branch()
    place.write("manifests/loja.yaml", "wave: 1\n")
    place.open()
    if reason == "closed":
        place.github.pulls[4]["state"] = "closed"
    if reason == "moved while it ran":
        place.github.pulls[4]["head"]["sha"] = "a" * 40
    place.merge()
    assert place.review().code == 0
    assert place.github.comment_texts(4) == []
    said = "the pull request is closed" if reason == "closed" else "has another head by now"
    assert said in place.summary
    assert "This changes 1 environment: `loja`." in place.summary


@pytest.mark.parametrize("is_open", [True, False])
def test_a_check_is_never_green_for_another_head_than_the_one_that_is_planned(place: Place, is_open: bool) -> None:
    """GitHub makes the test merge a moment after the push; until then it is that of the head before."""
    place.branch()
    place.write("manifests/loja.yaml", "wave: 1\n")
    place.open()
    place.event["pull_request"]["head"]["sha"] = "b" * 40
    place.event["pull_request"]["state"] = "open" if is_open else "closed"
    place.merge()
    drove = place.review()
    assert drove.code == (3 if is_open else 0)
    assert ("the test merge is of head" in drove.err) is is_open
    assert place.github.comment_texts(4) == []


def test_a_repeated_old_run_leaves_the_comment_of_a_later_one(place: Place) -> None:
    """Its run id is lower."""
    place.branch()
    place.write("manifests/loja.yaml", "wave: 1\n")
    place.open()
    place.merge()
    place.review(run_id=9)
    drove = place.review(run_id=7, attempt=2)
    assert drove.code == 0
    assert "No comment: the present one says that a later run of this check wrote it." in place.summary
    assert "warning: No comment: the present one says" in drove.err
    assert "run 9/1" in place.comment


def test_a_fork_gets_its_plan_in_the_summary_and_the_check(place: Place) -> None:
    """Its token may only read."""
    place.github.tokens[os.environ["GITHUB_TOKEN"]] = {"pull-requests": "read", "contents": "read"}
    place.branch()
    place.write("manifests/loja.yaml", "wave: 1\n")
    place.open(fork=True)
    place.merge()
    assert place.review().code == 0
    assert "this run's token may only read" in place.summary
    git(place.folder, "checkout", "-q", "work")
    place.write("manifests/loja.yaml", "wave: x\n")
    place.open(fork=True)
    place.merge()
    assert place.review().code == 3


@pytest.mark.parametrize(
    ("fork", "state", "code"), [(True, "s3://a/b", 0), (False, "s3://a/b", 4), (True, "git:no/x", 4)]
)
def test_a_fork_is_not_red_for_a_bucket_that_it_may_not_read(place: Place, fork: bool, state: str, code: int) -> None:
    """GitHub gives it no credentials. Any other unreadable state is red."""
    place.branch()
    place.write("manifests/loja.yaml", "wave: 1\n")
    place.open(fork=fork)
    place.merge()
    endpoint = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ALLOW_HTTP": "true", "AWS_REGION": "x"}
    keys = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    drove = place.review({"RECONCILER_STATE": state, **endpoint, **keys})
    assert drove.code == code, drove.err
    assert ("the guards are decided by the apply run" in place.summary) is (code == 0)
    assert ("No plan: the state could not be read" in place.summary) is (code == 4)


def test_a_comment_that_can_not_be_posted_fails_the_job(place: Place) -> None:
    """Without a fork's token as the reason, there would be no plan and a green check."""
    place.github.tokens[os.environ["GITHUB_TOKEN"]] = {"pull-requests": "read"}
    place.branch()
    place.write("manifests/loja.yaml", "wave: 1\n")
    place.open()
    place.merge()
    drove = place.review()
    assert drove.code == 1
    assert "Does the job lack a permission, such as comment (pull-requests: write)?" in drove.err
    assert "This changes 1 environment" in place.summary


# --- merge groups ----------------------------------------------------------------------------------


def queue(place: Place, base: str, ref: str = QUEUE) -> None:
    place.event = {"merge_group": {"base_sha": base, "head_ref": ref}}


def test_a_merge_group_is_planned_and_posts_nothing(place: Place) -> None:
    """Only its own change counts, compared with the entry before it."""
    place.branch()
    place.write("manifests/loja.yaml", "wave: 1\n")
    place.open()
    place.merge()
    queue(place, place.base)
    assert place.review().code == 0
    assert place.github.comment_texts(4) == []
    assert "No comment: this run is of a merge queue." in place.summary
    assert "This changes 1 environment: `loja`." in place.summary


def test_the_label_of_its_pull_request_lets_a_large_change_through_the_queue(large: Place) -> None:
    """GitHub names the pull request only in the branch; if that can't be parsed, the label doesn't count."""
    queue(large, large.base)
    assert large.review().code == 3
    large.github.set_label(4, LARGE, "eva")
    assert large.review(attempt=2).code == 0
    queue(large, large.base, "refs/heads/other")
    assert large.review(attempt=3).code == 3


# --- strict ----------------------------------------------------------------------------------------


def test_with_strict_a_base_that_moved_under_the_same_environment_is_red(place: Place) -> None:
    """The pull request changes `_defaults`, and the base has a new environment: the combination is not reviewed."""
    place.branch()
    place.fleet(path="v2")
    place.open()
    git(place.folder, "checkout", "-q", "main")
    place.write("manifests/filial.yaml", "wave: 0\n")
    place.commit("Another pull request, merged")
    place.merge()
    assert place.review({"PLUG_STRICT": ""}).code == 0
    drove = place.review({"PLUG_STRICT": "true"}, attempt=2)
    assert drove.code == 3
    assert "PLUG_STRICT: filial: the default branch has changed since this pull request was made" in drove.err
    assert "## Update the branch first" in place.comment
    assert "update the branch first: merge the default branch into it, or rebase it" in place.comment


def test_with_strict_a_base_that_moved_elsewhere_is_not_red(place: Place) -> None:
    """Another environment of the base does not count. The same holds in a queue."""
    place.branch()
    place.write("manifests/loja.yaml", "wave: 1\n")
    place.open()
    git(place.folder, "checkout", "-q", "main")
    place.write("manifests/matriz.yaml", "wave: 1\n")
    place.commit("Another pull request, merged")
    place.merge()
    assert place.review({"PLUG_STRICT": "true"}).code == 0
    queue(place, place.base)
    assert place.review({"PLUG_STRICT": "true"}).code == 0


def test_with_strict_the_head_of_a_squashed_group_is_looked_up(place: Place) -> None:
    """The group's commit has one parent."""
    place.branch()
    place.fleet(path="v2")
    place.open()
    git(place.folder, "checkout", "-q", "main")
    place.write("manifests/filial.yaml", "wave: 0\n")
    base = place.commit("Another pull request, merged")
    git(place.folder, "checkout", "-q", "--detach", "main")
    git(place.folder, "merge", "-q", "--squash", place.head)
    place.commit("Squashed")
    queue(place, base)
    assert place.review({"PLUG_STRICT": "true"}).code == 3
    assert "PLUG_STRICT: filial:" in place.summary


# --- receivers -------------------------------------------------------------------------------------


def test_a_failing_receiver_is_shown_and_not_red(place: Place) -> None:
    """PLUG_CHECK is set. Nothing is posted to the receiver."""
    place.write("manifests/_defaults.yaml", "webhooks:\n" + "".join(f"  {e}: https://127.0.0.1:1/x\n" for e in EVENTS))
    place.write("reconciler.toml", "allow_local_receivers = true\n[api]\nbase_url = 'http://127.0.0.1:1'\n")
    place.commit("Local")
    place.branch()
    place.write("manifests/loja.yaml", "wave: 1\n")
    place.open()
    place.merge()
    assert place.review({"PLUG_CHECK": "true"}).code == 0
    assert "Check: 7 receivers: 0 passed, 7 failed; nothing was posted (--no-post)." in place.comment
    assert place.review({"PLUG_CHECK": ""}, attempt=2).code == 0
    assert "Check:" not in place.comment


def test_a_change_does_not_open_the_runner_s_own_network(place: Place) -> None:
    """The base's allow_local_receivers decides for the check."""
    place.branch()
    place.write("manifests/_defaults.yaml", "webhooks:\n" + "".join(f"  {e}: https://127.0.0.1:1/x\n" for e in EVENTS))
    place.write("reconciler.toml", "allow_local_receivers = true\n[api]\nbase_url = 'http://127.0.0.1:1'\n")
    place.open()
    place.merge()
    assert place.review({"PLUG_CHECK": "true"}).code == 0
    assert "refused" not in place.comment and "7 failed" in place.comment
