"""What is added to act, so that a run is as on GitHub; and the keys that act doesn't know."""

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


def test_a_job_has_a_token_and_a_conclusion_of_its_own_and_its_environments_secrets(runner: Runner) -> None:
    """act has one token for a run, knows no environments, and repeats a failure for the later jobs of a matrix."""
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


@pytest.mark.parametrize("written", ["of-staging", "$(printf of-the-; echo repository)", "${GITHUB_TOKEN}"])
def test_a_secret_in_a_log_is_found(runner: Runner, written: str) -> None:
    """GitHub's runner would mask it; nothing of ours may need that."""
    with pytest.raises(AssertionError, match="a secret reaches the log"):
        runner.run(SAMPLE.replace("token of ${GITHUB_TOKEN##*-}", f"it is {written}."), HAND)


def test_the_keys_that_act_does_not_know_are_listed_and_no_others(tmp_path: Path) -> None:
    """A key that is gone from our workflows, or that act has learned, leaves the list."""
    require_act()
    texts = [render_own_workflow(name) for name in starter.WORKFLOWS]
    for text in texts:
        assert accepts(render_copy(text), tmp_path), "list the key that act refuses in UNKNOWN_KEYS"
    for key in UNKNOWN_KEYS:
        others = tuple(other for other in UNKNOWN_KEYS if other != key)
        assert not all(accepts(render_copy(text, others), tmp_path) for text in texts), (
            f"take {key} out of UNKNOWN_KEYS"
        )


def test_a_listed_key_is_taken_out_wherever_it_is(tmp_path: Path) -> None:
    """Two that act doesn't know as of today."""
    require_act()
    newer = SAMPLE.replace("  group: sample\n", "  group: sample\n  queue: max\n")
    newer = newer.replace("      name: ${{ matrix", "      deployment: false\n      name: ${{ matrix")
    keys = ("concurrency.queue", "jobs.*.environment.deployment")
    assert accepts(render_copy(newer, keys), tmp_path)
    assert render_copy(newer, keys) == render_copy(SAMPLE)
    for key in keys:
        assert not accepts(render_copy(newer, (key,)), tmp_path)
