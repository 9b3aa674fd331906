"""The names that workflows, rules, labels and the setup of a repository have in common (docs/github.md)."""

from __future__ import annotations

REQUIRED_CHECK = "Webhooks plan"
"""The job of plan.yml, and so the check that the rule of the default branch requires."""
