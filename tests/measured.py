"""`make cover` counts what the processes do that tests start, so they need its variable in their own environment."""

from __future__ import annotations

import os


def measured() -> dict[str, str]:
    """Return the variables that a measured process needs; empty outside of `make cover`."""
    name = "COVERAGE_PROCESS_CONFIG"
    return {name: os.environ[name]} if name in os.environ else {}
