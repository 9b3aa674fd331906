"""Names that the workflows, the rules and the set-up of a repository share (docs/github.md)."""

from __future__ import annotations

REQUIRED_CHECK = "Webhooks plan"
"""The job of plan.yml, and so the check that the rule of the default branch requires."""

ACTIONS_APP = 15368
"""The id of GitHub Actions as an app. A check of the same name from another app or a person doesn't count."""

DRIFT_ENVIRONMENT = "plug-drift"  # of the drift job, with the partner token

TOKEN_SECRET = "PLUG_TOKEN"  # noqa: S105 - the names of secrets on GitHub
TOKENS_SECRET = "PLUG_TOKENS"  # noqa: S105
SECRETS_SECRET = "PLUG_SECRETS"  # noqa: S105
PARTNER_SECRET = "PLUG_PARTNER_TOKEN"  # noqa: S105
