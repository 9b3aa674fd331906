"""`make cover` counts what the processes do that tests start, so they need its variable in their own environment."""

from __future__ import annotations

import os


def measured() -> dict[str, str]:
    """What a process's environment needs to be measured; empty outside of `make cover`."""
    name = "COVERAGE_PROCESS_CONFIG"
    return {name: os.environ[name]} if name in os.environ else {}
