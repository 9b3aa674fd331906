"""The whole story: a repository's webhooks are reviewed, merged, applied and watched."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable

import pytest
import yaml
from msgspec.structs import replace

from reconciler.core.shard import find_shard
from reconciler.core.workflow.names import FLEET_ENVIRONMENT
from reconciler.model import Event
from tests.acceptance.conftest import canary
from tests.contract.remotes import git
from tests.workflows.conftest import Team
from tests.workflows.engine import Run

pytestmark = pytest.mark.slow

LARGE_CHANGE = "reconciler: large change"
STAGING, PRODUCTION = "Step 1 / staging", "Step 2 / production"


def loja(*numbers: int) -> list[str]:
    return [f"loja-{number:02}" for number in numbers]


def end_of(run: Run) -> dict[str, str]:
    """Return the conclusions of the jobs that were not skipped."""
    return {name: conclusion for name, conclusion in run.conclusions.items() if conclusion != "skipped"}


def mark_of(text: str) -> str:
    """Return the marker in a comment of the program: `run/attempt open` or `… done`."""
    found = re.match(r"<!-- reconciler:\w+ -->\n<!-- reconciler:run (.*) -->\n", text)
    assert found, text
    return found[1]


def result_on(team: Team, number: int) -> str:
    """Return the comment on a merged pull request that reports its result."""
    (found,) = (text for text in team.github.comment_texts(number) if text.startswith("<!-- reconciler:apply -->"))
    return html.unescape(found)


def status_of(team: Team, names: Iterable[str]) -> set[str | None]:
    """Return the ends of the URLs that Plug holds for the event messageStatus."""
    found = (team.plug_holds(name, Event.MESSAGE_STATUS) for name in names)
    return {url and url.rpartition("/status")[2] for url in found}


def edit_status(team: Team, before: str, after: str) -> None:
    team.edit("manifests/_defaults.yaml", f"/status{before}\n", f"/status{after}\n")


def refuse(team: Team, *names: str) -> None:
    """Make Plug reject only the tokens of these environments; without names, it accepts all."""
    taken = frozenset(token for name, token in team.tokens.items() if name not in names) or frozenset({"another"})
    if not names:
        taken = frozenset()
    team.sandbox.plug.options = replace(team.sandbox.plug.options, tokens=taken)


def hold_tokens_in_one_secret(team: Team, names: Iterable[str], ending: str = "") -> None:
    tokens = {name: team.tokens[name] for name in names}
    held = team.runner.environments.setdefault(FLEET_ENVIRONMENT, {})
    held[f"PLUG_TOKENS{ending}"] = yaml.safe_dump(tokens)
    held[f"PLUG_SECRETS{ending}"] = yaml.safe_dump(team.runner.secrets)
    team.runner.variables["PLUG_TOKENS_FROM"] = "secret"
    team.github.environments.append(FLEET_ENVIRONMENT)


# --- one change ------------------------------------------------------------------------------------------------------


def test_a_change_is_planned_and_applied_wave_by_wave(team: Team) -> None:
    """The plan names head and base; the queue's group is planned and posts nothing; the pull request has the result.

    The workflows need no artifact: here none can be uploaded, because the quota is full.
    """
    team.runner.environ["STAND_IN_ARTIFACTS"] = "/dev/null/full"
    edit_status(team, "", "/v2")
    event = team.open_pull("status-v2")
    run = team.run("plan", event)
    assert run.conclusions == {"Webhooks plan": "success"}
    (plan,) = team.github.comment_texts(1)
    assert mark_of(plan) == "7001/1 done"
    head, base = (team.github.pulls[1][side]["sha"] for side in ("head", "base"))
    assert head[:12] in plan and base[:12] in plan and "2 to create" in plan and "/status/v2" in plan

    run = team.run("plan", team.group_event(1))
    assert run.conclusions == {"Webhooks plan": "success"} and "2 to create" in run.summary
    assert team.github.comment_texts(1) == [plan]

    run = team.run("apply", team.merge_pull(1))
    assert end_of(run) == {"Begin": "success", STAGING: "success", PRODUCTION: "success", "Result": "success"}
    assert run.conclusions["Step 3"] == "skipped"
    assert status_of(team, team.tokens) == {"/v2"}
    result = result_on(team, 1)
    assert mark_of(result) == f"{run.begun.key} done"
    assert "## Apply: 2 applied" in result and "by this run" in result and run.begun.event.sha[:12] in result
    assert [one.token for one in team.sandbox.plug.received] == [team.tokens["staging"], team.tokens["production"]]
    assert not any(request.startswith("POST") for request in team.github.requests if "comments" not in request)

    document = json.loads(git(team.remote, "show", "reconciler-state:staging.json"))
    assert document["last"]["outcome"] == "applied" and document["last"]["by"]["run"] == run.begun.key
    assert document["applied"]["by"]["commit"] == run.begun.event.sha

    # Nothing is left to do, and no second result is posted.
    again = team.run_again(run)
    assert end_of(again) == {"Begin": "success", "Result": "success"}
    assert result_on(team, 1) == result and len(team.sandbox.plug.received) == 2


def test_an_error_fails_the_job_until_it_is_corrected(team: Team) -> None:
    """The comment is updated, but not by an older run that a user starts again."""
    team.edit("manifests/production.yaml", "wave: 1", "wave: soon")
    wrong = team.run("plan", team.open_pull("wave"))
    assert wrong.conclusions == {"Webhooks plan": "failure"}
    (comment,) = team.github.comment_texts(1)
    assert "`wave`" in comment and "is a text" in comment and "manifests/production.yaml" in wrong.log
    team.edit("manifests/production.yaml", "wave: soon", "wave: 2")
    right = team.run("plan", team.update_pull(1))
    assert right.conclusions == {"Webhooks plan": "success"}
    (comment,) = team.github.comment_texts(1)
    assert "2 to create" in comment and "is a text" not in comment
    old = team.run_again(wrong)
    assert old.begun.attempt == 2 and team.github.comment_texts(1) == [comment]


def test_a_forks_plan_is_in_the_summary_and_its_change_is_applied(team: Team) -> None:
    """It may not comment, nor may Dependabot: the job says so and succeeds. Strict checks only commits."""
    team.runner.variables["PLUG_STRICT"] = "true"
    edit_status(team, "", "/fork")
    run = team.run("plan", team.open_pull("from-a-fork", fork=True, actor="eve"))
    assert run.conclusions == {"Webhooks plan": "success"}
    assert "2 to create" in run.summary and "this run's token may only read" in run.summary
    assert team.github.comment_texts(1) == []
    run = team.run("plan", team.plan_event(1, actor="dependabot[bot]"))
    assert run.conclusions == {"Webhooks plan": "success"}
    assert "this run's token may only read" in run.summary

    run = team.run("apply", team.merge_pull(1))
    assert end_of(run) == {"Begin": "success", STAGING: "success", PRODUCTION: "success", "Result": "success"}
    assert status_of(team, team.tokens) == {"/fork"} and mark_of(result_on(team, 1)) == f"{run.begun.key} done"


def test_a_comment_that_cannot_be_posted_fails_the_job(team: Team) -> None:
    """If the reason isn't a fork's token, a missing plan must not look like success."""
    team.edit("manifests/production.yaml", "wave: 1", "wave: 2")
    event = team.open_pull("wave-2")
    team.github.failing = [(403, "") for _ in range(9)]
    run = team.run("plan", event)
    assert run.conclusions == {"Webhooks plan": "failure"}
    assert "pull-requests: write" in run.log
    assert "2 to create" in run.summary  # The plan itself is not lost.


def test_a_comment_of_another_user_is_never_taken_for_ours(team: Team) -> None:
    """Any user may write the marker; only a comment that the workflow wrote is updated."""
    team.edit("manifests/production.yaml", "wave: 1", "wave: 2")
    event = team.open_pull("wave-2")
    team.github.write_comment(1, "eve", "<!-- reconciler:plan -->\nAll is well, merge me")
    for number in range(150):  # There is more than a page of other comments.
        team.github.write_comment(1, "bob", f"opinion {number}")
    team.run("plan", event)
    team.run("plan", event)
    texts = team.github.comment_texts(1)
    assert texts[0].endswith("All is well, merge me")
    assert len(texts) == 152
    assert "2 to create" in texts[-1]


# --- guards over the whole run ---------------------------------------------------------------------------------------


def test_one_wrong_line_for_twelve_environments_stops_before_any_of_them(team: Team) -> None:
    """No environment's job starts. Once a user with write access sets the label, the run continues."""
    team.add_environments(loja(*range(1, 11)))
    team.push("Add ten")
    team.applied()
    edit_status(team, "", "/wrong")
    assert team.run("plan", team.open_pull("wrong")).conclusions == {"Webhooks plan": "failure"}
    team.github.set_label(1, LARGE_CHANGE, "bia")
    plan = team.run("plan", team.plan_event(1, action="labeled"))
    assert plan.conclusions == {"Webhooks plan": "success"} and "bia" in team.github.comment_texts(1)[0]
    team.github.set_label(1, LARGE_CHANGE, "bia", event="unlabeled")  # Bia removes the label again, and merges.
    sent = len(team.sandbox.plug.received)

    run = team.run("apply", team.merge_pull(1))
    assert end_of(run) == {"Begin": "failure", "Result": "success"}
    assert "12 of 12 applied environments would be updated" in run.jobs["Begin"].summary
    result = result_on(team, 1)
    assert mark_of(result) == f"{run.begun.key} open"
    assert "refused" in result and "12 of 12 applied environments" in result and LARGE_CHANGE in result

    team.github.set_label(1, LARGE_CHANGE, "rui")  # Rui has only read access.
    run = team.run_failed_again(run)
    assert end_of(run) == {"Begin": "failure", "Result": "success"}
    assert "the label on #1 does not count" in result_on(team, 1)
    assert len(team.sandbox.plug.received) == sent and status_of(team, team.tokens) == {""}

    team.github.set_label(1, LARGE_CHANGE, "rui", event="unlabeled")
    team.github.set_label(1, LARGE_CHANGE, "bia")
    team.runner.parallel = 4  # As on GitHub, the jobs write to one state branch at the same time.
    run = team.run_failed_again(run)
    assert set(run.conclusions.values()) == {"success", "skipped"} and len(end_of(run)) == 14
    assert status_of(team, team.tokens) == {"/wrong"}
    result = result_on(team, 1)
    assert mark_of(result) == f"{run.begun.key} done" and run.begun.attempt == 3
    assert "12 applied" in result and "set by bia" in result


def test_a_fleet_of_forty_is_stopped_and_then_allowed_in_one_job(team: Team) -> None:
    """An input by hand lifts the guard for the commit that it was given for, and for no later one."""
    names = loja(*range(1, 39))
    for name in names:
        team.write(f"manifests/lojas/{name}.yaml", f"vars: {{host: {name}.acme.com.br}}\n")
        team.tokens[name] = f"token-of-{name}-7f3a9c21"
    hold_tokens_in_one_secret(team, team.tokens)
    team.push("Add thirty-eight")
    team.applied()
    edit_status(team, "", "/v2")
    team.open_pull("v2")
    run = team.run("apply", team.merge_pull(1))
    assert end_of(run) == {"Begin": "failure", "Result": "success"}
    assert "40 of 40 applied environments would be updated" in result_on(team, 1)
    team.github.set_label(1, LARGE_CHANGE, "bia")
    refuse(team, "loja-07")
    run = team.run_failed_again(run)
    assert end_of(run) == {"Begin": "success", "Step 1 / Fleet": "failure", "Result": "success"}
    assert "1 not applied, 1 not tried, 38 applied" in result_on(team, 1)
    refuse(team)
    run = team.run_again(run)  # The guard doesn't stop it now: one environment is left.
    assert end_of(run) == {"Begin": "success", "Step 1 / Fleet": "success", "Result": "success"}
    assert status_of(team, team.tokens) == {"/v2"} and "40 applied" in result_on(team, 1)

    edit_status(team, "/v2", "/v3")
    team.open_pull("v3")
    team.merge_pull(2)
    run = team.run("apply", team.by_hand(max_changed="100%"))
    assert end_of(run) == {"Begin": "success", "Step 1 / Fleet": "success", "Result": "success"}
    assert mark_of(result_on(team, 2)) == f"{run.begun.key} done"
    edit_status(team, "/v3", "/v4")
    team.open_pull("v4")
    team.merge_pull(3)
    run = team.run_again(run)  # This is three weeks later.
    assert end_of(run) == {"Begin": "failure", "Result": "success"}
    assert "max_changed: was given for commit" in run.jobs["Begin"].summary
    assert status_of(team, team.tokens) == {"/v3"} and mark_of(result_on(team, 3)) == f"{run.begun.key} open"


def test_rejected_tokens_stop_the_wave_at_max_failures(team: Team) -> None:
    """Each environment has its own job; their failures count together, and the later waves don't start."""
    team.add_environments(loja(1, 2, 3, 4))
    team.edit("reconciler.toml", "state =", "max_failures = 3\nstate =")
    refuse(team, *team.tokens)
    run = team.run("apply", team.push("Add four"))
    assert team.sandbox.plug.requests == 3  # The wave has 5.
    ends = end_of(run)
    assert ends.pop("Begin") == ends.pop("Result") == "success"
    assert ends == {f"Step 1 / {name}": "failure" for name in ["staging", *loja(1, 2, 3, 4)]}
    summary = run.jobs["Result"].summary
    assert "3 not applied, 3 not tried" in summary and "max_failures" in run.log


def test_each_shard_has_its_own_job(team: Team) -> None:
    """Each job has the secret with its tokens; one wave runs at a time."""
    team.add_environments(loja(1, 2))
    for number in (1, 2):
        of_shard = [name for name in team.tokens if find_shard(name, 2).number == number]
        hold_tokens_in_one_secret(team, of_shard, f"_{number}")
    team.runner.variables["PLUG_SHARDS"] = "2"
    run = team.run("apply", team.push("Add two"))
    waves = {0: ["staging", *loja(1, 2)], 1: ["production"]}
    shards = {(wave, find_shard(name, 2).number) for wave, names in waves.items() for name in names}
    expected = {f"Step {wave + 1} / Wave-{wave}-shard-{number}-of-2" for wave, number in shards}
    assert end_of(run) == dict.fromkeys(["Begin", *expected, "Result"], "success")
    assert status_of(team, team.tokens) == {""}


# --- strict ----------------------------------------------------------------------------------------------------------


def test_strict_lets_late_and_superseded_runs_pass_and_stops_a_direct_push(team: Team) -> None:
    """Two pull requests are merged before the first run; then a user pushes by hand."""
    team.applied()
    team.runner.variables["PLUG_STRICT"] = "true"
    team.edit(
        "manifests/staging.yaml", "wave: 0", "wave: 0\nwebhooks: {messageStatus: 'https://a.acme.com.br/status/a'}"
    )
    team.open_pull("a")
    git(team.clone, "checkout", "-q", "main")
    team.edit(
        "manifests/production.yaml", "wave: 1", "wave: 1\nwebhooks: {messageStatus: 'https://b.acme.com.br/status/b'}"
    )
    team.open_pull("b")
    first = team.merge_pull(1)
    team.merge_pull(2)
    run = team.run("apply", first)  # It applies the head, which has both changes.
    assert end_of(run) == {"Begin": "success", STAGING: "success", PRODUCTION: "success", "Result": "success"}
    assert status_of(team, ["staging"]) == {"/a"} and status_of(team, ["production"]) == {"/b"}
    assert mark_of(result_on(team, 1)) == mark_of(result_on(team, 2)) == f"{run.begun.key} done"

    edit_status(team, "", "/pushed")
    team.add_environments(loja(1))
    run = team.run("apply", team.push("Straight to the default branch"))
    assert end_of(run) == {"Begin": "failure", "Result": "success"}
    summary = run.jobs["Begin"].summary
    assert "loja-01" in summary and "no merged pull request" in summary
    (digest,) = set(re.findall(r"expect\W+(sha256:[0-9a-f]{64})", summary))
    assert team.plug_holds("loja-01", Event.MESSAGE_STATUS) is None
    run = team.run("apply", team.by_hand(expect=digest))
    assert end_of(run) == {"Begin": "success", "Step 1 / loja-01": "success", "Result": "success"}
    assert status_of(team, ["loja-01"]) == {"/pushed"}


def test_five_merges_within_a_minute_are_all_applied_or_refused_with_a_result(team: Team) -> None:
    """With strict, one run is superseded, one is repeated, and one is refused, as the base of its change moved."""
    team.applied()
    team.runner.variables["PLUG_STRICT"] = "true"
    team.add_environments(loja(1))
    team.open_pull("one")
    git(team.clone, "checkout", "-q", "main")
    team.add_environments(loja(2))
    team.open_pull("two")
    git(team.clone, "checkout", "-q", "main")
    team.add_environments(loja(3))
    team.open_pull("three")
    run = team.run("apply", team.merge_pull(1))
    assert end_of(run) == {"Begin": "success", "Step 1 / loja-01": "success", "Result": "success"}

    team.show_run(7777, team.squash_pull(2), "completed", "cancelled")  # It was superseded.
    refuse(team, "loja-03")
    run = team.run("apply", team.merge_pull(3))
    done = {"Begin": "success", "Step 1 / loja-02": "success", "Result": "success"}
    assert end_of(run) == {**done, "Step 1 / loja-03": "failure"}
    assert mark_of(result_on(team, 2)) == f"{run.begun.key} done"
    assert mark_of(result_on(team, 3)) == f"{run.begun.key} open" and "not applied" in result_on(team, 3)
    refuse(team)
    run = team.run_failed_again(run)
    assert end_of(run) == {**done, "Step 1 / loja-03": "success"}
    assert mark_of(result_on(team, 3)) == f"{run.begun.key} done" and run.begun.attempt == 2

    edit_status(team, "", "/v2")
    team.edit("manifests/lojas/loja-01.yaml", "vars:", "wave: 3\nvars:")
    team.open_pull("four")
    git(team.clone, "checkout", "-q", "main")
    team.add_environments(loja(5))
    team.open_pull("five")
    team.merge_pull(4)
    sent = len(team.sandbox.plug.received)
    run = team.run("apply", team.merge_pull(5))
    assert end_of(run) == {"Begin": "failure", "Result": "success"} and len(team.sandbox.plug.received) == sent
    assert "1 environment, loja-05:" in run.jobs["Begin"].summary
    assert "this combination was not reviewed" in run.jobs["Begin"].summary
    for number in (4, 5):
        assert mark_of(result_on(team, number)) == f"{run.begun.key} open" and "refused" in result_on(team, number)

    # The refusal names this solution: a pull request whose branch contains the default branch's manifests.
    team.edit("manifests/lojas/loja-05.yaml", "vars:", "wave: 4\nvars:")
    team.open_pull("six")
    run = team.run("apply", team.merge_pull(6))
    assert set(run.conclusions.values()) == {"success", "skipped"}
    assert status_of(team, team.tokens) == {"/v2"}
    assert {mark_of(result_on(team, number)) for number in (4, 5, 6)} == {f"{run.begun.key} done"}


# --- runs that are late ----------------------------------------------------------------------------------------------


def test_a_failed_job_that_is_rerun_after_a_revert_sends_nothing(team: Team) -> None:
    """A fails, B reverts it, and a user runs A's failed jobs again: that would put A over B."""
    team.applied()
    edit_status(team, "", "/a")
    team.open_pull("a")
    refuse(team, "production")
    first = team.run("apply", team.merge_pull(1))
    assert end_of(first) == {"Begin": "success", STAGING: "success", PRODUCTION: "failure", "Result": "success"}
    assert mark_of(result_on(team, 1)) == f"{first.begun.key} open"
    refuse(team)
    edit_status(team, "/a", "")
    team.open_pull("b")
    run = team.run("apply", team.merge_pull(2))
    assert status_of(team, team.tokens) == {""}
    assert mark_of(result_on(team, 1)) == mark_of(result_on(team, 2)) == f"{run.begun.key} done"

    sent = len(team.sandbox.plug.received)
    late = team.run_failed_again(first)
    assert end_of(late) == {"Begin": "success", STAGING: "success", PRODUCTION: "failure", "Result": "success"}
    assert "## Stopped by the state" in late.jobs[PRODUCTION].summary
    assert "a newer commit decides" in late.jobs[PRODUCTION].summary
    assert len(team.sandbox.plug.received) == sent and status_of(team, team.tokens) == {""}


def test_an_apply_from_a_laptop_after_the_first_job_is_noticed(team: Team) -> None:
    """An equal apply elsewhere is done; after a different one the job has no valid decision, and sends nothing."""
    team.applied()
    edit_status(team, "", "/v2")
    team.open_pull("v2")
    event = team.merge_pull(1)

    def apply_elsewhere(request: str) -> None:
        """Apply elsewhere when the first job asks for the GitHub Environments: its plan is made by then."""
        if "/environments?" in request:
            team.github.after = lambda request: None
            team.applied("staging")
            edit_status(team, "/v2", "/laptop")
            team.applied("production")

    team.github.after = apply_elsewhere
    run = team.run("apply", event)
    assert end_of(run) == {"Begin": "success", STAGING: "success", PRODUCTION: "failure", "Result": "success"}
    summary = run.jobs[PRODUCTION].summary
    assert "Stopped by the state" in summary and "is not the one that the first job decided" in summary
    assert status_of(team, ["staging"]) == {"/v2"} and status_of(team, ["production"]) == {"/laptop"}
    assert mark_of(result_on(team, 1)) == f"{run.begun.key} open" and "already as wanted" in result_on(team, 1)
    run = team.run_again(run)  # It starts with the first job.
    assert end_of(run) == {"Begin": "success", "Step 1 / production": "success", "Result": "success"}
    assert status_of(team, ["production"]) == {"/v2"} and mark_of(result_on(team, 1)) == f"{run.begun.key} done"


# --- the schedule ----------------------------------------------------------------------------------------------------


def test_the_schedule_applies_what_no_run_applied_and_heals(team: Team) -> None:
    """It leaves changes to a run that waits for reviewers."""
    observe(team)
    team.applied()
    edit_status(team, "", "/v2")
    team.open_pull("v2")
    event = team.merge_pull(1)
    team.show_run(7777, event, "waiting")
    run = team.run("drift", team.scheduled())
    assert run.conclusions == {"Drift": "success"}
    assert team.github.open_issues() == [] and team.github.dispatched == []
    assert "Drift that run 7777 will repair is left out: 2 environments" in run.summary

    team.show_run(7777, event, "completed", "cancelled")
    run = team.run("drift", team.scheduled())
    assert run.conclusions == {"Drift": "success"} and team.github.open_issues() == []
    applied = team.run_dispatched()
    assert end_of(applied) == {"Begin": "success", STAGING: "success", PRODUCTION: "success", "Result": "success"}
    assert status_of(team, team.tokens) == {"/v2"} and mark_of(result_on(team, 1)) == f"{applied.begun.key} done"

    # A user changes Plug by hand.
    team.github.dispatched.clear()
    team.sandbox.plug.company(team.tokens["staging"]).webhooks[Event.MESSAGE_STATUS] = "https://a.acme.com.br/other"
    team.runner.variables["PLUG_SELF_HEAL"] = "true"
    run = team.run("drift", team.scheduled())
    (issue,) = team.github.open_issues()
    assert run.conclusions == {"Drift": "success"} and issue["labels"] == ["reconciler-drift"]
    healed = team.run_dispatched()
    assert end_of(healed) == {"Begin": "success", STAGING: "success", PRODUCTION: "success", "Result": "success"}
    assert status_of(team, team.tokens) == {"/v2"}
    team.github.dispatched.clear()
    run = team.run("drift", team.scheduled())
    assert team.github.open_issues() == [] and team.github.dispatched == []


def observe(team: Team) -> None:
    """Make the schedule read what Plug holds, with the secret of a separate GitHub Environment."""
    ids = {name: f"{at:024x}" for at, name in enumerate(team.tokens)}
    for name, account_id in ids.items():
        team.edit(f"manifests/{name}.yaml", "vars:", f"account_id: '{account_id}'\nvars:")
    team.push("Name the accounts")
    token = canary("partner")
    team.runner.environments["plug-drift"] = {"PLUG_PARTNER_TOKEN": token}
    team.runner.environ["RECONCILER_PARTNER__BASE_URL"] = team.sandbox.base_url
    team.runner.variables["PLUG_OBSERVE"] = "true"
    accounts = {account_id: team.tokens[name] for name, account_id in ids.items()}
    options = replace(team.sandbox.plug.options, accounts=accounts, partner_tokens=frozenset({token}))
    team.sandbox.plug.options = options


def test_an_orphan_starts_no_healing(team: Team) -> None:
    """An apply never changes it, so the fleet would be put again every hour."""
    team.applied()
    (team.clone / "manifests/staging.yaml").unlink()
    team.push("Drop staging")
    team.runner.variables["PLUG_SELF_HEAL"] = "true"
    assert team.run("drift", team.scheduled()).conclusions == {"Drift": "success"}
    assert len(team.github.open_issues()) == 1 and team.github.dispatched == []


def test_drift_checks_only_the_default_branch(team: Team) -> None:
    """On another branch, started by hand, it would report differences that are not drift."""
    team.applied()
    edit_status(team, "", "/v2")
    sha = team.commit("Work on it")
    git(team.clone, "push", "-q", "origin", "HEAD:refs/heads/work")
    run = team.run("drift", replace(team.by_hand(), sha=sha, ref="refs/heads/work"))
    assert run.conclusions == {"Drift": "skipped"}
    assert team.github.open_issues() == []
