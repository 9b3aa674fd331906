"""The files in `.github`, read as text: one source, pinned actions, least permissions, clean scripts."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler import starter
from reconciler.core.workflow.steps import STEPS
from reconciler.starter.workflow_files import Places
from tests.acceptance.conftest import ROOT
from tests.workflows.conftest import load
from tests.workflows.engine import DEFAULT_BRANCH, STAND_INS
from tests.workflows.own import render_own_workflow

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTION = ROOT / ".github/actions/reconciler/action.yml"
SOURCES = sorted((ROOT / "reconciler/starter/workflows").glob("*.yml"))
DEPENDABOT = ROOT / ".github/dependabot.yml"
# These are inputs of an action that no test runs.
INPUTS = {"pypa/gh-action-pypi-publish": {"packages-dir", "attestations", "skip-existing", "verbose", "print-hash"}}


def jobs() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    for path in WORKFLOWS:
        workflow = load(path)
        for name, job in workflow["jobs"].items():
            yield f"{path.name}: {name}", workflow, job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, _, job in jobs():
        yield from ((name, step) for step in job.get("steps", []))  # A job that calls a workflow has no steps.
    yield from (("action", step) for step in load(ACTION)["runs"]["steps"])


@pytest.mark.parametrize("name", starter.WORKFLOWS)
def test_our_own_workflow_is_the_one_that_init_writes(name: str, request: pytest.FixtureRequest) -> None:
    """Only the action differs: after a change in reconciler/starter run `pytest tests/workflows --update-golden`."""
    path = ROOT / f".github/workflows/{name}.yml"
    rendered = render_own_workflow(name)
    if request.config.getoption("--update-golden"):
        path.write_text(rendered)
    assert path.read_text() == rendered


def test_no_script_holds_an_expression() -> None:
    """A script runs what an expression inserts: values come only through `env:`."""
    for name, step in steps():
        assert "${{" not in step.get("run", ""), name


def test_every_action_of_others_is_pinned_by_its_commit_with_the_version_beside() -> None:
    """A tag can be moved, a commit can't."""
    for path in [*WORKFLOWS, ACTION]:
        for line in path.read_text().splitlines():
            found = re.fullmatch(r"\s*(?:- )?uses: (\S+)( # v[\d.]+)?", line)
            if found and not found[1].startswith("./"):
                assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", found[1]) and found[2], line


def test_every_action_has_one_pin_in_all_files() -> None:
    """This repository's pins and those that `init` writes are updated together."""
    texts = [path.read_text() for path in [*WORKFLOWS, ACTION, *SOURCES]]
    pins = {pin for text in texts for pin in re.findall(r"uses: ([^./\s][^\s]*@.*)", text)}
    assert len(pins) == len({pin.partition("@")[0] for pin in pins}), sorted(pins)


def test_dependabot_checks_every_folder_that_pins_an_action() -> None:
    """Nothing else updates the pins. It must be able to read each file, and waits until a release is a week old."""
    (actions,) = (one for one in load(DEPENDABOT)["updates"] if one["package-ecosystem"] == "github-actions")
    folders = {path.parent.relative_to(ROOT).as_posix() for path in [*WORKFLOWS, ACTION, *SOURCES]}
    assert folders == {".github/workflows", ".github/actions/reconciler", "reconciler/starter/workflows"}
    assert actions["directories"] == ["/", "/.github/actions/*", "/reconciler/starter/workflows"]
    for path in SOURCES:
        assert load(path)["jobs"]
    written = yaml.load(
        starter.starting_files(starter.Start(Places("a/b@c")))[".github/dependabot.yml"], Loader=yaml.BaseLoader
    )
    for update in [*load(DEPENDABOT)["updates"], *written["updates"]]:
        assert int(update["cooldown"]["default-days"]) >= 7
        assert [group["patterns"] for group in update["groups"].values()] == [["*"]]


def test_every_job_names_its_permissions_and_no_workflow_gives_any() -> None:
    """A job has only the permissions that it names. A job that calls a workflow has no timeout."""
    for name, workflow, job in jobs():
        assert workflow["permissions"] == {}, name
        assert job["permissions"], name
        assert "uses" in job or job["timeout-minutes"], name


def test_every_step_gives_only_inputs_that_its_action_has() -> None:
    """GitHub only warns about an unknown input, and act ignores it. The stand-ins name the inputs of the actions."""
    for name, step in steps():
        if "uses" in step:
            action = step["uses"].partition("@")[0]
            if action in INPUTS:
                known = INPUTS[action]
            else:
                path = ACTION if action.startswith("./") else STAND_INS / action.split("/")[1] / "action.yml"
                known = load(path)["inputs"].keys()
            assert step.get("with", {}).keys() <= known, f"{name}: {action}"


def test_no_checkout_keeps_its_credentials() -> None:
    """Otherwise a later step, or an uploaded folder, would have them."""
    for name, step in steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] == "false", name


def test_the_plan_of_a_pull_request_has_no_secret_and_runs_no_code_of_it() -> None:
    """plan.yml has no secrets but the job's token, and uses the tool of the default branch."""
    text = (ROOT / ".github/workflows/plan.yml").read_text()
    assert "secrets." not in text and "pull_request_target" not in text
    plan = load(ROOT / ".github/workflows/plan.yml")["jobs"]["plan"]
    used = [step["uses"] for step in plan["steps"] if "uses" in step]
    logins = ("aws-actions/", "google-github-actions/", "azure/")
    assert all(action.startswith(("actions/checkout@", "./.tool/", *logins)) for action in used)
    (tool,) = (step for step in plan["steps"] if step.get("with", {}).get("path") == ".tool")
    assert tool["with"]["ref"] == "${{ github.event.repository.default_branch }}"


def test_the_required_check_has_a_unique_name_and_always_runs() -> None:
    """A skipped job counts as passed, and with two checks of one name it is unclear which counts."""
    plan = load(ROOT / ".github/workflows/plan.yml")
    assert plan["on"] == {
        "pull_request": {
            "branches": [DEFAULT_BRANCH],
            "types": ["opened", "synchronize", "reopened", "edited", "labeled", "unlabeled"],
        },
        "merge_group": {"types": ["checks_requested"]},
    }
    assert [name for name, _, job in jobs() if job.get("name") == "Webhooks plan"] == ["plan.yml: plan"]
    job = plan["jobs"]["plan"]
    assert "if" not in job and "needs" not in job
    assert job["steps"][-1]["run"] == "exec reconciler github run review" and "if" not in job["steps"][-1]


def test_a_secret_is_only_given_to_jobs_of_the_default_branch() -> None:
    """Its code was reviewed; a user can start a workflow by hand on any branch.

    Only apply.yml calls the jobs of a wave, and its first job ends such a run.
    """
    for name, workflow, job in jobs():
        if "secrets." in str(job) or job.get("secrets"):
            assert "pull_request" not in workflow["on"], name
            if list(workflow["on"]) == ["workflow_call"]:
                continue
            first = workflow["jobs"]["begin"] if "begin" in job.get("needs", []) else job
            assert "github.ref_name == github.event.repository.default_branch" in first["if"], name
    callers = [path.name for path in WORKFLOWS if "/apply-wave.yml" in str(load(path)["jobs"])]
    assert callers == ["apply.yml"]
    assert DEFAULT_BRANCH in load(ROOT / ".github/workflows/apply.yml")["on"]["push"]["branches"]


def test_an_apply_is_never_cancelled_by_a_newer_one() -> None:
    """One runs at a time in the repository, and no waiting run is dropped."""
    assert load(ROOT / ".github/workflows/apply.yml")["concurrency"] == {
        "group": "reconciler-apply",
        "queue": "max",
        "cancel-in-progress": "false",
    }


def test_each_apply_step_needs_the_one_before_and_the_last_job_needs_all() -> None:
    """A failed wave stops the later ones, and the result is reported however the run ends."""
    jobs_of = load(ROOT / ".github/workflows/apply.yml")["jobs"]
    names = [f"step_{number}" for number in range(1, STEPS + 1)]
    assert list(jobs_of) == ["begin", *names, "result"]
    for number, name in enumerate(names, 1):
        job = jobs_of[name]
        assert job["name"] == f"Step {number}"
        assert job["needs"] == ("begin" if number == 1 else ["begin", f"step_{number - 1}"])
        assert job["if"] == f"needs.begin.outputs.{name} != '[]'"
        assert job["with"]["jobs"] == f"${{{{ needs.begin.outputs.{name} }}}}"
        assert job["with"]["parallel"] == ("1" if number == STEPS else "${{ vars.PLUG_MAX_PARALLEL || '4' }}")
        assert jobs_of["begin"]["outputs"][name] == f"${{{{ steps.begin.outputs.{name} }}}}"
    assert jobs_of["result"]["needs"] == ["begin", *names]
    assert jobs_of["result"]["if"].startswith("always() && ")


def test_the_first_process_of_a_job_becomes_the_program() -> None:
    """The runner signals only the step's first process: a shell would not pass a cancel on to the program."""
    for name in ("apply", "apply-wave"):
        for job in load(ROOT / f".github/workflows/{name}.yml")["jobs"].values():
            runs = [step["run"] for step in job.get("steps", []) if "run" in step]
            assert "uses" in job or [run for run in runs if run.startswith("exec reconciler github run ")] == runs
    (script,) = (step["run"] for step in load(ACTION)["runs"]["steps"] if step.get("id") == "run")
    assert script.rstrip().splitlines()[-1].startswith("exec reconciler github run command -- ")


def test_nothing_depends_on_an_artifact() -> None:
    """Artifacts are optional: a failed upload fails no job, and no job downloads one."""
    for name, step in steps():
        if name.startswith(("apply.yml", "apply-wave.yml")):
            assert "download-artifact" not in step.get("uses", ""), name
            assert "upload-artifact" not in step.get("uses", "") or step["continue-on-error"] == "true", name


@pytest.mark.parametrize(
    "step", [step for step in load(ACTION)["runs"]["steps"] if "run" in step], ids=lambda s: s["name"]
)
def test_the_actions_scripts_pass_shellcheck(step: dict[str, Any], tmp_path: Path) -> None:
    """actionlint checks the scripts of workflows, but not of actions."""
    script = tmp_path / "script.sh"
    script.write_text("#!/usr/bin/env bash\n" + step["run"])
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, "--severity=style", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_make_lists_every_target_and_ci_makes_nothing_else() -> None:
    """`make` alone lists the targets; what runs in CI can be run here."""
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    listed = set(re.findall(r"^([a-z-]+):.*## [a-z]", makefile, re.MULTILINE))
    assert listed == set(phony.split()) - {"FORCE"}
    package = load(ROOT / ".github/workflows/ci.yml")["jobs"]["package"]
    assert set(package["strategy"]["matrix"]["target"]) <= listed
