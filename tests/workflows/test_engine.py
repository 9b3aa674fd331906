"""The additions to act, so that runs are as on GitHub, and the keys that act doesn't know."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import starter
from tests.workflows.conftest import ACTION
from tests.workflows.engine import DEFAULT_BRANCH, UNKNOWN_KEYS, Event, Runner, accepts, render_copy, require_act
from tests.workflows.fake_github import FakeGitHub
from tests.workflows.own import render_own_workflow

SAMPLE = """
name: Sample
on: workflow_dispatch
concurrency:
  group: sample
jobs:
  first:
    runs-on: ubuntu-24.04
    outputs:
      matrix: ${{ steps.made.outputs.matrix }}
    steps:
      - id: made
        env:
          GITHUB_TOKEN: ${{ github.token }}
          MATRIX: '[{"environment": "staging"}, {"environment": "production"}]'
        run: |
          echo "matrix=$MATRIX" >> "$GITHUB_OUTPUT"
          echo "token of ${GITHUB_TOKEN##*-}"
          if [[ -t 0 || -t 1 || -t 2 ]]; then echo "a terminal"; fi
  each:
    needs: first
    runs-on: ubuntu-24.04
    strategy:
      max-parallel: 1
      matrix:
        include: ${{ fromJSON(needs.first.outputs.matrix) }}
    environment:
      name: ${{ matrix.environment }}
    steps:
      - env:
          ENVIRONMENT: ${{ matrix.environment }}
          TOKEN: ${{ secrets.PLUG_TOKEN }}
        run: |
          echo "${#TOKEN} characters"
          [[ "$ENVIRONMENT" == production ]]
  never:
    needs: first
    if: needs.first.outputs.matrix == ''
    runs-on: ubuntu-24.04
    strategy:
      matrix:
        include: ${{ fromJSON(needs.first.outputs.missing) }}
    steps:
      - run: exit 1
"""
CALLING = """
name: Calling
on: workflow_dispatch
jobs:
  first:
    name: First
    runs-on: ubuntu-24.04
    permissions: {contents: read}
    outputs:
      matrix: ${{ steps.made.outputs.matrix }}
    steps:
      - id: made
        run: |
          echo 'matrix=[{"name": "a", "environment": "staging", "tokens": "PLUG_TOKENS"},
            {"name": "b", "environment": "production", "tokens": "PLUG_TOKENS"}]' | tr -d '\\n' >> "$GITHUB_OUTPUT"
          echo >> "$GITHUB_OUTPUT"
  call:
    name: Call
    needs: first
    permissions: {contents: write}
    uses: ./.github/workflows/called.yml
    with:
      jobs: ${{ needs.first.outputs.matrix }}
    secrets: inherit
  next:
    name: Next
    needs: [first, call]
    permissions: {contents: write}
    uses: ./.github/workflows/called.yml
    with:
      jobs: ${{ needs.first.outputs.matrix }}
    secrets: inherit
  last:
    name: Last
    needs: [first, call, next]
    if: always()
    runs-on: ubuntu-24.04
    steps:
      - env:
          NEEDS: ${{ toJSON(needs) }}
          MATRIX: ${{ needs.first.outputs.matrix }}
        run: echo "${#MATRIX}" $(grep result <<< "$NEEDS")
"""
CALLED = """
name: Called
on:
  workflow_call:
    inputs:
      jobs: {type: string, required: true}
jobs:
  each:
    name: ${{ matrix.name }}
    runs-on: ubuntu-24.04
    permissions: {contents: write}
    strategy:
      matrix:
        include: ${{ fromJSON(inputs.jobs) }}
    environment: ${{ matrix.environment }}
    steps:
      - env:
          TOKENS: ${{ matrix.tokens != '' && secrets[matrix.tokens] || '' }}
          NAME: ${{ matrix.name }}
          ATTEMPT: ${{ github.run_attempt }}
        run: |
          echo "$NAME has ${#TOKENS} characters in attempt $ATTEMPT"
          [[ "$TOKENS" != "" ]]
      - continue-on-error: true
        run: exit 1
"""
HAND = Event("workflow_dispatch", "0" * 40, f"refs/heads/{DEFAULT_BRANCH}", {})


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    require_act()
    return Runner(
        folder=tmp_path / "runs",
        remote_url="",
        server_url="http://localhost",
        github=FakeGitHub(),
        action=ACTION,
        secrets={"PLUG_TOKEN": "of-the-repository"},
        environments={"staging": {"PLUG_TOKEN": "of-staging"}},
        write_program=lambda path: None,
    )


def test_a_job_has_its_own_token_conclusion_and_environment_secrets(runner: Runner) -> None:
    """Act has one token for a run, knows no environments, and repeats a failure for the later jobs of a matrix."""
    run = runner.run(SAMPLE, HAND)
    assert run.conclusions == {
        "first": "success",
        "each (staging)": "failure",
        "each (production)": "success",
        "never": "skipped",
    }
    assert run.jobs["first"].log == "token of first\n"
    assert run.jobs["each (staging)"].log == f"{len('of-staging')} characters\n"
    assert run.jobs["each (production)"].log == f"{len('of-the-repository')} characters\n"


def test_a_called_workflow_has_its_callers_name_and_its_environments_secrets(runner: Runner) -> None:
    """Act ends if one fails, and lacks "Re-run failed jobs"; GitHub lists the jobs during the run."""
    runner.environments = {"staging": {"PLUG_TOKENS": "of-staging"}, "production": {}}
    first = runner.run(CALLING, HAND, {"./.github/workflows/called.yml": CALLED})
    assert first.conclusions == {
        "First": "success",
        "Call / a": "success",
        "Call / b": "failure",
        "Next": "skipped",
        "Last": "success",
    }
    length = first.jobs["Last"].log.split()[0]
    assert first.jobs["Call / a"].log == "a has 10 characters in attempt 1\n"
    assert first.jobs["Last"].log == f'{length} "result": "failure" "result": "success" "result": "skipped"\n'
    shown = runner.github.jobs["7001/1"]
    assert [(one["name"], one["conclusion"]) for one in shown] == [*first.conclusions.items()]  # type: ignore[union-attr]

    runner.environments["production"] = {"PLUG_TOKENS": "of-production"}
    second = runner.run_failed_again(first)
    assert set(second.conclusions.values()) == {"success"} and second.begun.key == "7001/2"
    assert second.jobs["Call / a"] == first.jobs["Call / a"]  # It is not run again.
    assert second.jobs["Call / b"].log == "b has 13 characters in attempt 2\n"
    assert second.jobs["Next / a"].log == "a has 10 characters in attempt 2\n"
    assert second.jobs["Last"].log == f'{length} "result": "success" "result": "success" "result": "success"\n'


@pytest.mark.parametrize("written", ["of-staging", "$(printf of-the-; echo repository)", "${GITHUB_TOKEN}"])
def test_a_secret_in_a_log_is_found(runner: Runner, written: str) -> None:
    """GitHub's runner would mask it, but nothing in the workflows may need that."""
    with pytest.raises(AssertionError, match="a secret reaches the log"):
        runner.run(SAMPLE.replace("token of ${GITHUB_TOKEN##*-}", f"it is {written}."), HAND)


def test_the_keys_that_act_does_not_know_are_listed_and_no_others(tmp_path: Path) -> None:
    """The list has no key that our workflows no longer use, or that act has learned."""
    require_act()
    texts = [render_own_workflow(name) for name in starter.WORKFLOWS]
    for text in texts:
        assert accepts(render_copy(text), tmp_path), "list the key that act refuses in UNKNOWN_KEYS"
    for key in UNKNOWN_KEYS:
        others = tuple(other for other in UNKNOWN_KEYS if other != key)
        assert not all(accepts(render_copy(text, others), tmp_path) for text in texts), (
            f"take {key} out of UNKNOWN_KEYS"
        )


def test_a_listed_key_is_removed_wherever_it_is(tmp_path: Path) -> None:
    """Act doesn't know these two keys today."""
    require_act()
    newer = SAMPLE.replace("  group: sample\n", "  group: sample\n  queue: max\n")
    newer = newer.replace("      name: ${{ matrix", "      deployment: false\n      name: ${{ matrix")
    keys = ("concurrency.queue", "jobs.*.environment.deployment")
    assert accepts(render_copy(newer, keys), tmp_path)
    assert render_copy(newer, keys) == render_copy(SAMPLE)
    for key in keys:
        assert not accepts(render_copy(newer, (key,)), tmp_path)
