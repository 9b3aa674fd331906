"""Decisions on the way from a pull request to what is applied, each by one job of a workflow (docs/github.md)."""
