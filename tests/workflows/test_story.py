"""The whole story, top to bottom: a repository's webhooks are reviewed, merged, applied and watched."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from reconciler.core.digest import plan_digest
from reconciler.model import Event
from tests.contract.remotes import git
from tests.workflows.conftest import Team

pytestmark = pytest.mark.slow


def test_from_a_pull_request_to_an_applied_and_watched_webhook(team: Team) -> None:
    """Opened, mended, merged, applied in waves, failed, repaired, drifted, healed."""
    # The first apply brings what `init` wrote: a job for each environment, staging's wave before production's.
    run = team.run("apply", team.pushed())
    assert run.conclusions == {
        "plan": "success",
        "environment (staging)": "success",
        "environment (production)": "success",
        "fleet": "skipped",
        "comment": "success",
    }
    assert "2 to create" in run.jobs["plan"].summary
    assert team.plug_holds("production", Event.MESSAGE_STATUS) == "https://hooks.acme.com.br/plug/production/status"
    assert "no pull request brought this commit" in run.jobs["comment"].log

    # Somebody opens a pull request with a mistake. The job fails, the mistake is told at its line and in a comment.
    team.edit("manifests/production.yaml", "wave: 1", "wave: soon")
    opened = team.open_pull("status-v2")
    run = team.run("plan", opened)
    assert run.conclusions == {"plan": "failure"}
    assert "::error file=manifests/production.yaml,line=2,col=7,endColumn=11,title=reconciler%3A wave::" in run.log
    (comment,) = team.github.comment_texts(1)
    assert "Invalid: 1 error" in comment and "manifests/production.yaml:2:7" in comment

    # The mistake is corrected. The same comment now shows what the merge will do.
    team.edit("manifests/production.yaml", "wave: soon", "wave: 1")
    team.edit("manifests/_defaults.yaml", "/status", "/status/v2")
    run = team.run("plan", team.update_pull(1))
    assert run.conclusions == {"plan": "success"}
    (comment,) = team.github.comment_texts(1)
    assert "0 to create, 2 to update" in comment
    assert "- https://hooks.acme.com.br/plug/staging/status\n" in comment
    assert "+ https://hooks.acme.com.br/plug/staging/status/v2\n" in comment
    assert team.plug_holds("staging", Event.MESSAGE_STATUS) == "https://hooks.acme.com.br/plug/staging/status"

    # It is merged: exactly what was reviewed is applied, and the pull request is told.
    team.runner.variables["PLUG_STRICT"] = "true"
    run = team.run("apply", team.merge_pull(1))
    assert set(run.conclusions.values()) == {"success", "skipped"}
    assert team.plug_holds("staging", Event.MESSAGE_STATUS) == "https://hooks.acme.com.br/plug/staging/status/v2"
    assert team.plug_holds("production", Event.MESSAGE_STATUS) == "https://hooks.acme.com.br/plug/production/status/v2"
    plan_comment, result_comment = team.github.comment_texts(1)
    assert plan_comment == comment
    assert "Result: 2 applied" in result_comment

    # The state's branch tells who did it, from which commit, in which run; the code's branch was not touched.
    log = git(team.remote, "log", "--format=%B", "reconciler-state")
    assert "applied: production" in log and f"commit: {team.pushed().sha}" in log and "actor: ana" in log

    # The same again, by hand: nothing to do, no job begins.
    run = team.run("apply", team.by_hand())
    assert run.conclusions["environment"] == "skipped"
    assert "Nothing to do" in run.summary

    # A pull request on a bad day: Plug answers 500 when it is merged. Staging is uncertain, production not begun.
    team.edit("manifests/_defaults.yaml", "/status/v2", "/status/v3")
    team.run("plan", team.open_pull("status-v3"))
    team.sandbox.plug.options = replace(team.sandbox.plug.options, failure_rate=1.0)
    team.runner.environ["RECONCILER_ATTEMPTS"] = "1"
    run = team.run("apply", team.merge_pull(2))
    assert run.conclusions["environment (staging)"] == "failure"
    assert run.conclusions["environment (production)"] == "failure"
    assert "wave 1 doesn't begin" in run.jobs["environment (production)"].log
    assert "::error title=staging%3A uncertain::" in run.jobs["environment (staging)"].log
    assert "1 uncertain" in team.github.comment_texts(2)[-1]
    assert "## Not applied: production" in team.github.comment_texts(2)[-1]
    assert team.plug_holds("production", Event.MESSAGE_STATUS) == "https://hooks.acme.com.br/plug/production/status/v2"

    # The schedule sees it, and opens one issue; an hour later it is the same issue.
    assert team.run("drift", team.scheduled()).conclusions == {"drift": "success", "heal": "skipped"}
    (issue,) = team.github.open_issues()
    assert issue["title"] == "Webhook drift: staging, production"
    assert "uncertain" in issue["body"] and "unapplied" in issue["body"]
    team.run("drift", team.scheduled())
    assert team.github.open_issues() == [issue]

    # Plug is well again; the run is repeated by hand and brings everything in order, so the issue is closed.
    team.sandbox.plug.options = replace(team.sandbox.plug.options, failure_rate=0.0)
    run = team.run("apply", team.by_hand())
    assert set(run.conclusions.values()) == {"success", "skipped"}
    assert team.plug_holds("production", Event.MESSAGE_STATUS) == "https://hooks.acme.com.br/plug/production/status/v3"
    team.run("drift", team.scheduled())
    assert team.github.open_issues() == []
    assert "No drift any more" in team.github.comment_texts(issue["number"])[-1]


def test_two_merges_in_a_row_end_with_the_newest(team: Team) -> None:
    """The superseded run never ran, or runs late: both apply the branch's head."""
    team.applied()
    team.edit("manifests/staging.yaml", "wave: 0", "wave: 0\nwebhooks:\n  messageStatus: https://a.acme.com.br/1")
    team.open_pull("one")
    first = team.merge_pull(1)
    team.edit("manifests/staging.yaml", "https://a.acme.com.br/1", "https://a.acme.com.br/2")
    team.open_pull("two")
    second = team.merge_pull(2)
    team.run("apply", second)
    assert team.plug_holds("staging", Event.MESSAGE_STATUS) == "https://a.acme.com.br/2"
    run = team.run("apply", first)
    assert team.plug_holds("staging", Event.MESSAGE_STATUS) == "https://a.acme.com.br/2"
    assert "Nothing to do" in run.summary


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


def test_nothing_is_applied_until_it_is_switched_on(team: Team) -> None:
    """A new repository's first merges ask nobody for tokens."""
    del team.runner.variables["PLUG_APPLY"]
    run = team.run("apply", team.pushed())
    assert run.conclusions == {"plan": "success", "environment": "skipped", "fleet": "skipped", "comment": "skipped"}
    assert "`PLUG_APPLY` is not `true`" in run.summary
    run = team.run("drift", team.scheduled())
    assert run.conclusions == {"drift": "success", "heal": "skipped"}
    assert "`PLUG_APPLY` is not `true`" in run.summary
    assert team.sandbox.plug.companies == {}


def test_a_missing_token_is_told_by_the_name_of_its_secret(team: Team) -> None:
    """Before anything is sent, on the pull request too."""
    team.runner.environments["production"] = {}
    team.edit("manifests/production.yaml", "wave: 1", "wave: 0")
    team.open_pull("one-wave")
    run = team.run("apply", team.merge_pull(1))
    assert run.conclusions["environment (staging)"] == "success"
    assert run.conclusions["environment (production)"] == "failure"
    assert "add the secret PLUG_TOKEN to the GitHub Environment production" in run.log
    assert "## Not applied: production" in team.github.comment_texts(1)[-1]
    assert team.plug_holds("production", Event.MESSAGE_STATUS) is None


def test_a_strict_apply_stops_when_the_world_moved_on(team: Team) -> None:
    """Somebody pushed past the review: the digest is another, nothing is sent, the new plan is shown."""
    team.applied()
    team.edit("manifests/_defaults.yaml", "/status", "/status/v2")
    team.run("plan", team.open_pull("v2"))
    git(team.clone, "checkout", "-q", "main")
    team.edit("manifests/_defaults.yaml", "/sending", "/sending/v9")
    team.push("Straight to main")
    team.runner.variables["PLUG_STRICT"] = "true"
    run = team.run("apply", team.merge_pull(1))
    assert run.conclusions["plan"] == "failure"
    assert run.conclusions["environment"] == "skipped"
    assert "the plan is not the one expected" in run.log
    assert "/sending/v9" in run.summary
    assert "not the one expected" in team.github.comment_texts(1)[-1]
    assert team.plug_holds("staging", Event.MESSAGE_STATUS) == "https://hooks.acme.com.br/plug/staging/status"


def test_drift_heals_itself_but_brings_nothing_that_strict_refused(team: Team) -> None:
    """It begins an apply that sends all again, in the one queue of applies. An unreviewed change waits for a person."""
    team.applied()
    team.edit("manifests/_defaults.yaml", "/status", "/status/v2")
    team.push("Straight to main")
    team.runner.variables |= {"PLUG_STRICT": "true", "PLUG_SELF_HEAL": "true"}
    assert team.run("apply", team.pushed()).conclusions["plan"] == "failure"
    run = team.run("drift", team.scheduled())
    assert run.conclusions == {"drift": "success", "heal": "success"}
    (begun,) = team.github.dispatched
    assert begun == {"workflow": "apply.yml", "ref": "main", "inputs": {"reassert": "true"}}
    by_drift = replace(team.by_hand(reassert=True), actor="github-actions[bot]")
    run = team.run("apply", by_drift)
    assert run.conclusions["plan"] == "failure"
    assert f"the plan is not the one expected ({plan_digest([])})" in run.log
    assert team.plug_holds("staging", Event.MESSAGE_STATUS) == "https://hooks.acme.com.br/plug/staging/status"
    del team.runner.variables["PLUG_STRICT"]
    run = team.run("apply", by_drift)
    assert set(run.conclusions.values()) == {"success", "skipped"}
    assert team.plug_holds("staging", Event.MESSAGE_STATUS) == "https://hooks.acme.com.br/plug/staging/status/v2"
    team.runner.variables["PLUG_STRICT"] = "true"  # what was applied before may be sent again
    assert team.run("apply", by_drift).conclusions["plan"] == "success"


def test_an_orphan_begins_no_healing(team: Team) -> None:
    """An apply never touches it, so the fleet would be put again every hour."""
    team.applied()
    (team.clone / "manifests/staging.yaml").unlink()
    team.push("Drop staging")
    team.runner.variables["PLUG_SELF_HEAL"] = "true"
    assert team.run("drift", team.scheduled()).conclusions == {"drift": "success", "heal": "skipped"}
    assert len(team.github.open_issues()) == 1


def test_a_failed_wave_holds_back_the_next_when_all_is_put_again(team: Team) -> None:
    """A rejected reassert leaves a plan with nothing to do: it is the run's own begin that tells."""
    team.applied()
    time.sleep(1.1)  # instants are whole seconds: what was applied in the second of the run's begin counts as its own
    only = frozenset({team.tokens["production"]})
    team.sandbox.plug.options = replace(team.sandbox.plug.options, tokens=only)
    run = team.run("apply", team.by_hand(reassert=True))
    assert run.conclusions["environment (staging)"] == "failure"
    assert run.conclusions["environment (production)"] == "failure"
    assert "wave 1 doesn't begin" in run.jobs["environment (production)"].log
    team.sandbox.plug.options = replace(team.sandbox.plug.options, tokens=frozenset())
    run = team.run("apply", team.by_hand(reassert=True))
    assert set(run.conclusions.values()) == {"success", "skipped"}


def test_one_token_for_the_whole_repository_is_refused(team: Team) -> None:
    """The secret was set without `--env`: the second job sees in the state whose company it is."""
    team.runner.environments = {}
    team.runner.secrets["PLUG_TOKEN"] = team.tokens["staging"]
    run = team.run("apply", team.pushed())
    assert run.conclusions["environment (staging)"] == "success"
    assert run.conclusions["environment (production)"] == "failure"
    assert "the token of production belongs to the Plug company that staging was last applied to" in run.log
    assert team.plug_holds("staging", Event.MESSAGE_STATUS) == "https://hooks.acme.com.br/plug/staging/status"


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


def test_a_fleet_is_applied_in_one_job_with_one_secret(team: Team) -> None:
    """Every token is masked first; more than 256 environments ask for this way. The plan still fits in a comment."""
    fleet(team, 298)
    run = team.run("plan", team.open_pull("fleet"))
    assert run.conclusions == {"plan": "success"}
    (comment,) = team.github.comment_texts(1)
    assert len(comment) <= 65_536
    assert "300 to create" in comment and "300 environments alike" in comment
    event = team.merge_pull(1)
    run = team.run("apply", event)
    assert run.conclusions["plan"] == "failure"
    assert "More than 256 environments change" in run.log
    team.runner.variables["PLUG_TOKENS_FROM"] = "secret"
    team.runner.secrets["PLUG_TOKENS"] = json.dumps(team.tokens)
    run = team.run("apply", event)
    assert run.conclusions == {
        "plan": "success",
        "environment": "skipped",
        "fleet": "success",
        "comment": "success",
    }
    assert "300 applied" in run.summary
    assert team.plug_holds("loja-0297", Event.MESSAGE_STATUS) == "https://loja-0297.acme.com.br/plug/loja-0297/status"
    assert list(team.runner.folder.rglob("result.json")) != []  # the jobs' folders are all there
    assert list(team.runner.folder.rglob("tokens-*")) == []


def test_a_first_apply_to_plug_is_declared_by_hand(team: Team) -> None:
    """Else the first job ends it, before anybody is asked to approve another. No job is held up by the flag later."""
    team.runner.environ |= {
        "RECONCILER_API__BASE_URL": "https://plug.invalid",
        "RECONCILER_API__ALLOWED_HOSTS": "plug.invalid",
        "RECONCILER_ATTEMPTS": "1",
    }
    run = team.run("apply", team.pushed())
    assert run.conclusions["plan"] == "failure" and run.conclusions["environment"] == "skipped"
    assert "run this workflow by hand with new_state" in run.log
    run = team.run("apply", team.by_hand(new_state=True))
    assert run.conclusions["plan"] == "success"
    assert "(plug.invalid) was not found" in run.jobs["environment (staging)"].log
