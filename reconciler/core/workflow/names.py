"""Names on GitHub that several rooms must write alike (docs/github.md)."""

from __future__ import annotations

REQUIRED_CHECK = "Webhooks plan"
"""The job of plan.yml, and so the check that the rule of the default branch requires."""

ACTIONS_APP = 15368
"""The id of GitHub Actions as an app. A check of the same name from another app or a person doesn't count."""

APPLY_WORKFLOW = "apply.yml"

SUCCESS = "success"
"""The conclusion of a run or a job that succeeded."""

FLEET_ENVIRONMENT = "plug-fleet"  # the GitHub Environment of the jobs for several environments
DRIFT_ENVIRONMENT = "plug-drift"  # of the drift job, with the partner token

TOKEN_SECRET = "PLUG_TOKEN"  # noqa: S105 - the names of secrets on GitHub
TOKENS_SECRET = "PLUG_TOKENS"  # noqa: S105
SECRETS_SECRET = "PLUG_SECRETS"  # noqa: S105
PARTNER_SECRET = "PLUG_PARTNER_TOKEN"  # noqa: S105


def number_secret(name: str, number: int) -> str:
    """Return the name of the secret that has the part of a shard, such as `PLUG_TOKENS_3`."""
    return f"{name}_{number}"
