"""The lazy answer about an earlier commit equals the answer of its whole tree, for any history."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.workflow.strict import LastChange
from reconciler.io.git.history import MAX_LINE, GitHistory
from reconciler.manifests.history import ABSENT, UNKNOWN, ManifestHistory, find_wants
from reconciler.manifests.load import load_tree
from reconciler.manifests.merged import TreeOptions
from reconciler.model import EVENTS, AuthScheme
from tests.conftest import examples
from tests.imported import LINK, import_commits, import_line, make_repository

OPTIONS = TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, ("www.plugchat.com.br",))
ROOT = "deploy/manifests"
NAMES = ("a", "b", "c", "d")
URLS = "webhooks:\n" + "".join(f"  {event}: https://hooks.acme.com.br/{{environment}}/{event}\n" for event in EVENTS)
HOSTED = URLS.replace("hooks.acme.com.br", "{host}")

MANIFESTS = (
    *(
        "a.yaml",
        "b.yml",
        "x/a.yaml",
        "x/b.yaml",
        "x/c.yaml",
        "x/y/d.yaml",
        "x/y/other.yaml",
        "_hidden/b.yaml",
        ".c.yaml",
    ),
    *("b.yaml.bak", "_defaults.yaml.d/c.yaml", "d.YAML"),
)
DEFAULTS = ("_defaults.yaml", "x/_defaults.yaml", "x/y/_defaults.yaml", "_defaults.yml", "x/_default.yaml")
LINKS = ("l.yaml", "x/d.yaml", "b.yaml")

_odd_names = st.sampled_from(
    [
        *("environment: d\n", "# environment: c\n", '"environ\\x6dent": c\n', "environment:\n", "environment: 'c'\n"),
        *("environment: Not Valid\n", "? environment\n: a\n", "environment: on\n"),
    ]
)
_names = st.one_of(st.just(""), st.just(""), st.just("environment: b\n"), _odd_names)
_rests = st.sampled_from(
    [
        *(
            "{}\n",
            "{}\n",
            "{}\n",
            "{}\n",
            URLS,
            HOSTED,
            f"{HOSTED}vars:\n  host: h.acme.com.br\n",
            "vars:\n  host: i.acme.com.br\n",
        ),
        *("wave: 1\n", "wave: 2 # later\n", "account_id: '7'\n", "unknown: 1\n", "wave: [\n", "", "description: x\n"),
    ]
)
_manifests = st.builds(lambda name, rest: rest if name == "" else name + rest.replace("{}\n", ""), _names, _rests)
_defaults = st.sampled_from(
    [
        *(
            URLS,
            HOSTED,
            f"# a comment\n{URLS}",
            f"{HOSTED}vars: {{host: h.acme.com.br}}\n",
            "vars:\n  host: i.acme.com.br\n",
        ),
        *(
            "vars:\n    host: 'i.acme.com.br'\n",
            "wave: 3\n",
            "description: y\n",
            "environment: a\n",
            "policy:\n",
            "{",
            "{}\n",
        ),
        *("policy:\n  denied_hosts: [h.acme.com.br]\n", "policy:\n  allowed_hosts: ['*.acme.com.br']\n"),
    ]
)
_links = st.sampled_from([f"{LINK}{target}" for target in ("a.yaml", "x/c.yaml", "../outside.yaml", "nowhere")])
_files = st.one_of(
    st.tuples(st.sampled_from(MANIFESTS), _manifests),
    st.tuples(st.sampled_from(DEFAULTS), _defaults),
)
_some_links = st.tuples(st.sampled_from(LINKS), _links)


@dataclass
class Repository:
    """A repository to which each example adds its own history."""

    path: Path
    git: GitHistory

    def open(self, commit: str) -> ManifestHistory:
        return ManifestHistory(self.git, ROOT, OPTIONS, commit)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    path = make_repository(tmp_path_factory.mktemp("history") / "repository")
    git = GitHistory(path, {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"})
    yield Repository(path, git)
    git.close()


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, str]]:
    """Return trees, each made from the previous one by adding, changing, moving and removing files."""
    # Most environments can be resolved, as otherwise most answers would be unknown.
    good = draw(st.sampled_from([URLS, HOSTED + "vars:\n  host: h.acme.com.br\n"]))
    tree = {"_defaults.yaml": good, **dict(draw(st.lists(_files, min_size=2, max_size=6)))}
    has_links = draw(st.integers(0, 5)) == 0
    trees = [tree]
    for _ in range(draw(st.integers(1, 6))):
        tree = dict(tree)
        for kind in draw(st.lists(st.sampled_from(["put", "put", "put", "move", "remove"]), max_size=3)):
            known = sorted(tree)
            if kind == "put" or not known:
                path, text = draw(st.one_of(_files, _some_links) if has_links else _files)
                tree[path] = text
                continue
            old = draw(st.sampled_from(known))
            text = tree.pop(old)
            if kind == "move":
                tree[draw(st.sampled_from(MANIFESTS))] = text
        trees.append(tree)
    return trees


def place(tree: Mapping[str, str]) -> dict[str, str]:
    return {f"{ROOT}/{path}": text for path, text in tree.items()} | {"README": "x\n", "deploy/other.yaml": URLS}


def read_whole(tree: Mapping[str, str]) -> Mapping[str, str]:
    """Return what the manifests define, read from files as in a checkout, without git."""
    with TemporaryDirectory() as made:
        for name, text in place(tree).items():
            path = Path(made, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if text.startswith(LINK):
                path.symlink_to(text.removeprefix(LINK))
            else:
                path.write_bytes(text.encode())
        return find_wants(load_tree(f"{made}/{ROOT}", OPTIONS))


def find_change(wants: list[Mapping[str, str]], name: str) -> int | None:
    """Return the position of the last change, from what each whole tree defines, the newest first."""
    here, *older = [one.get(name, ABSENT) for one in wants]
    for position, then in enumerate([*older, ABSENT]):
        if UNKNOWN in (here, then):
            return None
        if here != then:
            return position
    return None


@settings(max_examples=examples(20))
@given(trees=histories())
def test_the_lazy_answer_is_that_of_the_whole_tree(repository: Repository, trees: list[dict[str, str]]) -> None:
    """An environment that can't be resolved is not compared until its definition changes."""
    commits = import_line(repository.path, [place(tree) for tree in trees])[::-1]
    whole = [read_whole(tree) for tree in trees[::-1]]
    history = repository.open(commits[0])
    assert list(history.commits) == commits
    for commit, wants in zip(commits, whole, strict=True):
        assert history.find_wants(commit, NAMES) == {name: wants.get(name, ABSENT) for name in NAMES}
    lazy = repository.open(commits[0])
    changes = lazy.find_last_changes(NAMES)
    for name in NAMES:
        change, expected = changes[name], find_change(whole, name)
        assert change.position == expected, name
        assert change.commit == commits[change.reach]
        ours = whole[0].get(name, ABSENT)
        assert all(wants.get(name, ABSENT) in (ours, UNKNOWN) for wants in whole[: change.reach + 1]), name


@settings(max_examples=examples(12))
@given(trees=histories())
def test_what_a_commit_changed_is_what_its_whole_trees_differ_in(
    repository: Repository, trees: list[dict[str, str]]
) -> None:
    commits = import_line(repository.path, [place(tree) for tree in trees])
    history = repository.open(commits[-1])
    before: Mapping[str, str] = {}
    for commit, tree in zip(commits, trees, strict=True):
        after = read_whole(tree)
        every = before.keys() | after.keys()
        changed = {name for name in every if before.get(name) != after.get(name)}
        unknown = {name for name in every if UNKNOWN in (before.get(name), after.get(name))}
        found = history.changed_by(commit)
        assert changed <= found <= changed | unknown
        before = after


@settings(max_examples=examples(12))
@given(trees=histories(), head=histories())
def test_a_head_is_compared_with_the_runs_commit(
    repository: Repository, trees: list[dict[str, str]], head: list[dict[str, str]]
) -> None:
    """The head of a pull request isn't on the default branch; here it is any other commit."""
    tree, changed = trees[-1], {**trees[-1], **head[-1]}
    run, other = import_commits(repository.path, [(place(tree), []), (place(changed), [1])])
    ours, theirs = read_whole(tree), read_whole(changed)
    same = repository.open(run).compare(other, NAMES)
    for name in NAMES:
        wants = (ours.get(name, ABSENT), theirs.get(name, ABSENT))
        if UNKNOWN not in wants:
            assert same[name] is (wants[0] == wants[1]), name
        elif same[name]:
            assert wants[0] == wants[1] == UNKNOWN


@pytest.mark.parametrize(("position", "found"), [(MAX_LINE - 1, True), (MAX_LINE, False)])
def test_how_far_back_a_change_is_looked_for(repository: Repository, position: int, found: bool) -> None:
    old, new = place({"a.yaml": URLS}), place({"a.yaml": f"wave: 1\n{URLS}"})
    commits = import_line(repository.path, [old, *([new] * (position + 1))])[::-1]
    (change,) = repository.open(commits[0]).find_last_changes(["a"]).values()
    last = MAX_LINE - 1
    assert change == (LastChange(last, commits[last]) if found else LastChange(None, commits[last], last))
