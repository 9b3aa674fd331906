"""Strict over real repositories: merges as people make them, read from a runner's checkout of one commit."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reconciler.cli.session import Session
from reconciler.core.workflow.strict import UnreviewedCause
from reconciler.errors import InputError
from reconciler.manifests.history import ManifestHistory
from reconciler.model import EVENTS
from reconciler.ports import MergedPull
from reconciler.run.strict import find_combinations, find_unreviewed
from tests.contract.remotes import git, make_clone, make_remote

URLS = "webhooks:\n" + "".join(f"  {event}: https://hooks.acme.com.br/{{environment}}/{event}\n" for event in EVENTS)
NAMES = ("loja", "matriz")


@dataclass
class Team:
    """A repository on a server, and GitHub's answers about its pull requests."""

    folder: Path
    remote: Path
    pulls: list[MergedPull] = field(default_factory=list)
    opened: int = 0

    @property
    def clone(self) -> Path:
        return self.folder / "seed"

    def begin(self) -> None:
        self.write({"deploy/_defaults.yaml": URLS, "deploy/loja.yaml": "wave: 1\n", "deploy/matriz.yaml": "wave: 1\n"})
        self.write({"reconciler.toml": 'manifests = "deploy"\nstate = "git:reconciler-state"\n'})
        self.push("Begin")

    def write(self, files: Mapping[str, str | None]) -> None:
        for name, text in files.items():
            path = self.clone / name
            path.parent.mkdir(exist_ok=True)
            path.unlink() if text is None else path.write_text(text)

    def push(self, message: str = "Push") -> str:
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "-q", "--allow-empty", "-m", message)
        git(self.clone, "push", "-q", "origin", "HEAD:main")
        return git(self.clone, "rev-parse", "HEAD").strip()

    def open(self, *commits: Mapping[str, str | None]) -> int:
        """A branch of these commits on what main is now, as a pull request. The clone is on main again."""
        self.opened += 1
        git(self.clone, "switch", "-q", "-c", f"topic{self.opened}", "main")
        for files in commits:
            self.write(files)
            git(self.clone, "add", "-A")
            git(self.clone, "commit", "-q", "-m", f"Topic {self.opened}")
        git(self.clone, "push", "-q", "origin", f"HEAD:refs/pull/{self.opened}/head")
        git(self.clone, "switch", "-q", "main")
        return self.opened

    def merge(self, number: int, how: str = "merge") -> str:
        branch = f"topic{number}"
        head = git(self.clone, "rev-parse", branch).strip()
        match how:
            case "merge":
                git(self.clone, "merge", "-q", "--no-ff", "-m", f"Merge {number}", branch)
            case "squash":
                git(self.clone, "merge", "-q", "--squash", branch)
                git(self.clone, "commit", "-q", "-m", f"Squash {number}")
            case "rebase":
                git(self.clone, "cherry-pick", "--allow-empty", f"main..{branch}")
        git(self.clone, "push", "-q", "origin", "HEAD:main")
        self.pulls.append(MergedPull(number, head, git(self.clone, "rev-parse", "HEAD").strip()))
        return self.pulls[-1].merge_sha

    def list_pulls(self, sha: str) -> Sequence[MergedPull]:
        return [pull for pull in self.pulls if pull.merge_sha == sha]

    @contextmanager
    def open_history(self, names: Sequence[str] = ()) -> Iterator[ManifestHistory]:
        runner = make_clone(self.remote, self.folder / f"runner{len(list(self.folder.iterdir()))}")
        environ = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        commit = git(runner, "rev-parse", "HEAD").strip()
        with Session(environ=environ, folder=runner).open_reviewed_history(commit, names) as history:
            yield history

    def find(self) -> dict[str, tuple[str, UnreviewedCause]]:
        with self.open_history(NAMES) as history:
            found = find_unreviewed(NAMES, history, self)
        return {one.environment: (one.commit, one.cause) for one in found}


@pytest.fixture
def team(tmp_path: Path) -> Team:
    made = Team(tmp_path, make_remote(tmp_path))
    made.begin()
    return made


def test_every_way_to_merge_is_reviewed(team: Team) -> None:
    """The heads are on no branch of the server any more, and each merge is of another kind."""
    team.merge(team.open({"deploy/loja.yaml": "wave: 2\n"}))
    team.merge(team.open({"deploy/loja.yaml": None, "deploy/lojas/loja.yaml": "wave: 3\n"}), "squash")
    inner = team.open({"deploy/matriz.yaml": "wave: 4\n"}, {"README": "x\n"})
    team.merge(inner, "rebase")
    team.push("README alone")
    assert team.find() == {}


def test_a_push_over_a_merge_is_refused_until_a_branch_shows_it(team: Team) -> None:
    first = team.merge(team.open({"deploy/_defaults.yaml": URLS.replace("hooks.acme", "new.acme")}))
    team.write({"deploy/loja.yaml": "wave: 2 # by hand\n"})
    pushed = team.push()
    assert team.find() == {"loja": (pushed, UnreviewedCause.NO_PULL_REQUEST)}
    team.merge(team.open({"README": "cure\n"}))
    assert team.find() == {}
    assert first in [pull.merge_sha for pull in team.pulls]


def test_two_pull_requests_on_one_environment_are_a_combination(team: Team) -> None:
    """Each was made on the same base; `_defaults.yaml` and the manifest don't conflict."""
    one = team.open({"deploy/_defaults.yaml": URLS.replace("hooks.acme", "new.acme")})
    two = team.open({"deploy/loja.yaml": "wave: 2\n"})
    head = git(team.clone, "rev-parse", f"topic{two}").strip()
    team.merge(one)
    merged = team.merge(two)
    assert team.find() == {"loja": (merged, UnreviewedCause.COMBINATION)}
    with team.open_history() as history:  # of the same content as the test merge of the second
        changed = history.changed_by(merged)
        assert changed == {"loja"}
        history.fetch_heads([team.pulls[-1]])
        assert find_combinations(changed, head, history) == ["loja"]


def test_an_environment_that_was_never_in_a_pull_request_is_not_reviewed(team: Team) -> None:
    begun = git(team.clone, "rev-parse", "HEAD").strip()
    assert team.find() == dict.fromkeys(NAMES, (begun, UnreviewedCause.NO_PULL_REQUEST))


def test_a_commit_that_this_version_refuses_is_as_far_as_the_search_goes(team: Team) -> None:
    team.write({"deploy/loja.yaml": "wave: 1\nold_key: 1\n"})
    team.push()
    team.write({"deploy/loja.yaml": "wave: 1\n"})
    fixed = team.push()
    assert team.find()["loja"] == (fixed, UnreviewedCause.TOO_FAR_BACK)
    team.merge(team.open({"README": "cure\n"}))
    assert team.find() == {}


def test_other_bytes_than_the_commit_holds_are_not_reviewed(team: Team) -> None:
    """A user pushes `.gitattributes` alone: the manifests of the commit stay as they were reviewed."""
    team.merge(team.open({"deploy/_defaults.yaml": URLS.replace("acme.com.br/", "acme.com.br/a+b/")}))
    assert team.find() == {}
    (team.clone / ".gitattributes").write_text("deploy/*.yaml working-tree-encoding=UTF-7\n")
    git(team.clone, "add", ".gitattributes")
    git(team.clone, "commit", "-q", "-m", "Attributes")
    git(team.clone, "push", "-q", "origin", "HEAD:main")
    with pytest.raises(InputError, match="loja, matriz: the checked-out files want something else"):
        team.find()


def test_line_ends_of_the_checkout_are_not_another_content(team: Team) -> None:
    team.write({".gitattributes": "*.yaml text eol=crlf\n"})
    team.merge(team.open({"deploy/_defaults.yaml": URLS.replace("hooks.acme", "new.acme")}))
    assert team.find() == {}


def test_a_link_in_place_of_the_manifests_leads_to_nothing_that_was_reviewed(team: Team) -> None:
    """A pull request brought these files, as an example that was never used."""
    example = {name.replace("deploy", "example"): "wave: 1\n" for name in ("deploy/loja.yaml", "deploy/matriz.yaml")}
    team.merge(team.open({**example, "example/_defaults.yaml": URLS.replace("hooks.acme", "evil.acme")}))
    git(team.clone, "rm", "-rq", "deploy")
    (team.clone / "deploy").symlink_to("example")
    team.push()
    with pytest.raises(InputError, match="deploy is reached through a symbolic link"):
        team.find()


def test_a_head_that_can_not_be_fetched_stops_everything(team: Team) -> None:
    merged = team.merge(team.open({"deploy/loja.yaml": "wave: 2\n"}), "squash")
    team.pulls = [MergedPull(1, "d" * 40, merged)]
    with pytest.raises(InputError, match="the manifests of earlier commits can't be read"):
        team.find()


def test_manifests_outside_of_a_repository_have_no_history(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="is not in a git repository"),
        Session(environ={"PATH": os.environ["PATH"], "GIT_CEILING_DIRECTORIES": "/"}, folder=tmp_path).open_history(""),
    ):
        pass
