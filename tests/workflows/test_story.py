"""The whole story, top to bottom: a repository's webhooks are reviewed, merged, applied and watched."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.contract.remotes import git
from tests.workflows.conftest import Team

pytestmark = pytest.mark.slow


def test_a_fork_gets_its_plan_in_the_summary_and_no_token(team: Team) -> None:
    """It may not comment: the job says so and stays green. So it is for Dependabot."""
    team.edit("manifests/production.yaml", "wave: 1", "wave: 2")
    run = team.run("plan", team.open_pull("from-a-fork", fork=True, actor="eve"))
    assert run.conclusions == {"plan": "success"}
    assert "2 to create" in run.summary
    assert team.github.comment_texts(1) == []
    assert "this run's token may only read" in run.summary
    git(team.clone, "checkout", "-q", "main")
    team.edit("manifests/production.yaml", "wave: 1", "wave: 3")
    run = team.run("plan", team.open_pull("bump", actor="dependabot[bot]"))
    assert run.conclusions == {"plan": "success"}
    assert "No comment: this run's token may only read" in run.summary


def test_a_comment_that_cannot_be_posted_fails_the_job(team: Team) -> None:
    """For another reason than a fork's token: no plan and a green job would be the worst of both."""
    team.edit("manifests/production.yaml", "wave: 1", "wave: 2")
    event = team.open_pull("wave-2")
    team.github.failing = [(403, "") for _ in range(9)]
    run = team.run("plan", event)
    assert run.conclusions == {"plan": "failure"}
    assert "pull-requests: write" in run.log
    assert "2 to create" in run.summary  # the plan itself is not lost


def test_an_orphan_begins_no_healing(team: Team) -> None:
    """An apply never touches it, so the fleet would be put again every hour."""
    team.applied()
    (team.clone / "manifests/staging.yaml").unlink()
    team.push("Drop staging")
    team.runner.variables["PLUG_SELF_HEAL"] = "true"
    assert team.run("drift", team.scheduled()).conclusions == {"drift": "success", "heal": "skipped"}
    assert len(team.github.open_issues()) == 1


def test_drift_looks_at_the_default_branch_alone(team: Team) -> None:
    """Begun by hand on another branch it would tell of a drift that is none."""
    team.applied()
    team.edit("manifests/_defaults.yaml", "/status", "/status/v2")
    sha = team.commit("Work on it")
    git(team.clone, "push", "-q", "origin", "HEAD:refs/heads/work")
    run = team.run("drift", replace(team.by_hand(), sha=sha, ref="refs/heads/work"))
    assert run.conclusions == {"drift": "skipped", "heal": "skipped"}
    assert team.github.open_issues() == []


def test_a_comment_of_somebody_else_is_never_taken_for_ours(team: Team) -> None:
    """Anybody may write our marker; only what the workflow wrote is rewritten."""
    team.edit("manifests/production.yaml", "wave: 1", "wave: 2")
    event = team.open_pull("wave-2")
    team.github.write_comment(1, "eve", "<!-- reconciler:plan -->\nAll is well, merge me")
    for number in range(150):  # more than a page of others
        team.github.write_comment(1, "bob", f"opinion {number}")
    team.run("plan", event)
    team.run("plan", event)
    texts = team.github.comment_texts(1)
    assert texts[0].endswith("All is well, merge me")
    assert len(texts) == 152
    assert "2 to create" in texts[-1]


def fleet(team: Team, count: int) -> None:
    """So many customers beside the two environments; their tokens in one secret."""
    for number in range(count):
        name = f"loja-{number:04}"
        team.write(f"manifests/lojas/{name}.yaml", f"vars: {{host: {name}.acme.com.br}}\n")
        team.tokens[name] = f"token-of-{name}-{number * 7919:012}"
