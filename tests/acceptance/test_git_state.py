"""Two clones of one remote that apply at the same time, as two CI runs do (docs/state.md)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from reconciler.model import EVENTS
from reconciler.sandbox.plug import Options
from reconciler.sandbox.server import Sandbox, serve_in_thread
from tests.acceptance.conftest import ROOT
from tests.contract.remotes import git, make_clone, make_remote

NAMES = ("a", "b", "c")
ROUNDS = 2


def environ_of(sandbox: Sandbox) -> dict[str, str]:
    tokens = {f"PLUG_TOKEN_{name.upper()}": f"canary-token-of-{name}" for name in NAMES}
    return tokens | {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "PYTHONPATH": str(ROOT),
        "RECONCILER_STATE": "git:origin/reconciler-state",
        "RECONCILER_API__BASE_URL": sandbox.base_url,
    }


def start(clone: Path, sandbox: Sandbox, *arguments: str, **more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "reconciler", *arguments]
    environ = {**environ_of(sandbox), **more}
    return subprocess.Popen(command, cwd=clone, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def write_manifests(seed: Path, version: str) -> None:
    (seed / "manifests").mkdir(exist_ok=True)
    (seed / "manifests" / "_defaults.yaml").write_text(
        "webhooks:\n"
        + "".join(f"  {event}: https://hooks.acme.com.br/{{environment}}/{event}/{version}\n" for event in EVENTS)
    )
    for name in NAMES:
        (seed / "manifests" / f"{name}.yaml").write_text("{}\n")


def test_two_clones_that_apply_at_once_converge(tmp_path: Path) -> None:
    """No environment is PUT by both at once, both exit as the contract says, and the last plan is a noop."""
    remote = make_remote(tmp_path)
    clones = [make_clone(remote, tmp_path / name) for name in ("one", "two")]
    before = [(git(clone, "rev-parse", "HEAD"), git(clone, "for-each-ref")) for clone in clones]
    with serve_in_thread(Options(latency_s=0.05)) as sandbox:
        for version in range(ROUNDS):
            for clone in clones:
                write_manifests(clone, str(version))
            running = [start(clone, sandbox, "apply", "--yes") for clone in clones]
            ended = [(run.communicate(timeout=180), run.returncode) for run in running]
            assert {code for _, code in ended} <= {0, 1, 4}, ended
            assert all("canary" not in out + err for (out, err), _ in ended)
        last = start(clones[0], sandbox, "apply", "--yes")
        assert last.communicate(timeout=180)[1] == ""
        assert last.returncode == 0
        plan = start(clones[1], sandbox, "plan", "--detailed-exitcode")
        assert "3 unchanged" in plan.communicate(timeout=180)[0]
        assert plan.returncode == 0
        for name in NAMES:
            held = sandbox.plug.companies[f"canary-token-of-{name}"].webhooks
            assert {str(url).rsplit("/", 1)[1] for url in held.values()} == {str(ROUNDS - 1)}
    for clone, (head, refs) in zip(clones, before, strict=True):
        (clone / "manifests" / "_defaults.yaml").unlink()
        assert (git(clone, "rev-parse", "HEAD"), git(clone, "for-each-ref")) == (head, refs)
        assert git(clone, "diff", "--cached", "--stat") == ""
    assert_straight(remote)
    assert_alone(remote)


def assert_straight(remote: Path) -> None:
    """Assert that there is no merge, and every commit but the first has one parent."""
    parents = git(remote, "log", "--format=%P", "reconciler-state")[:-1].split("\n")
    assert [len(line.split()) for line in parents] == [1] * (len(parents) - 1) + [0]


def assert_alone(remote: Path) -> None:
    """Assert that no intent was written while one was live: for each environment, intents and ends alternate."""
    log = git(remote, "log", "--reverse", "--format=%B", "reconciler-state")
    logged = re.findall(r"^([abc]): (intent|applied|uncertain|not applied)$", log, re.MULTILINE)
    for name in NAMES:
        words = [word for environment, word in logged if environment == name]
        assert words[::2] == ["intent"] * len(words[::2])
        assert "intent" not in words[1::2]


def test_a_run_of_one_wave_pushes_twice(tmp_path: Path) -> None:
    """One commit holds all intents, and one all outcomes."""
    remote = make_remote(tmp_path)
    clone = make_clone(remote, tmp_path / "one")
    write_manifests(clone, "1")
    with serve_in_thread() as sandbox:
        run = start(clone, sandbox, "apply", "--yes")
        run.communicate(timeout=180)
    assert run.returncode == 0
    subjects = git(remote, "log", "--reverse", "--format=%s", "reconciler-state").split("\n")
    assert subjects == ["intent: a, b, c", "applied: a, b, c", ""]


def test_an_address_outside_ascii_is_reached_under_any_locale(tmp_path: Path) -> None:
    """With a locale from before UTF-8, the bytes of variables differ, and git gets the address in one."""
    remote = make_remote(tmp_path).rename(tmp_path / "c\N{LATIN SMALL LETTER O WITH ACUTE}digo.git")
    clone = make_clone(remote, tmp_path / "clone")
    write_manifests(clone, "1")
    old = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with serve_in_thread(Options()) as sandbox:
        run = start(clone, sandbox, "apply", "--yes", **old)
        (line,) = run.communicate(timeout=180)[1].splitlines()  # Git prints nothing.
        assert line.startswith("warning: git:origin/reconciler-state is shared")
    assert run.returncode == 0
    assert "reconciler-state" in git(remote, "for-each-ref")
