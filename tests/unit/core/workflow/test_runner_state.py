"""The state of a step: no folder that is lost with the runner."""

from __future__ import annotations

import pytest

from reconciler.core.workflow.runner_state import find_lost_state, is_relative

OWN = {"RUNNER_ENVIRONMENT": "self-hosted", "GITHUB_WORKSPACE": "/srv/work/webhooks", "RUNNER_TEMP": "/srv/work/_temp"}


@pytest.mark.parametrize("state", ["git:origin/reconciler-state", "s3://acme/state", "gs://acme", "az://acme/x"])
def test_a_store_that_the_team_shares_is_never_lost(state: str) -> None:
    assert find_lost_state(state, {}) is None and find_lost_state(state, OWN) is None
    assert not is_relative(state)


@pytest.mark.parametrize("state", [".reconciler/state", "file:state", "state", "/srv/plug/state", "~/state"])
@pytest.mark.parametrize("environ", [{}, {"RUNNER_ENVIRONMENT": "github-hosted"}])
def test_any_folder_of_a_runner_of_github_is_lost(state: str, environ: dict[str, str]) -> None:
    fault = find_lost_state(state, environ)
    assert fault is not None and "lost" in fault.message and "git:origin/reconciler-state" in fault.hint


@pytest.mark.parametrize("state", ["/srv/plug/state", "file:/srv/plug", "file:///srv/plug", "~/state", "C:/plug/state"])
def test_a_runner_of_ones_own_may_keep_an_absolute_folder(state: str) -> None:
    assert find_lost_state(state, OWN) is None and not is_relative(state)


@pytest.mark.parametrize(
    "state",
    [".reconciler/state", "file:state", "/srv/work/webhooks", "/srv/work/webhooks/state", "file:///srv/work/_temp/x"],
)
def test_a_folder_that_the_runner_empties_is_lost_there_too(state: str) -> None:
    fault = find_lost_state(state, OWN)
    assert fault is not None and "absolute path outside of the checkout" in fault.hint
