"""A checkout with a healthy Plug, for commands that run in this process."""

from __future__ import annotations

from tests.acceptance.conftest import _server, cli, sandbox

__all__ = ["_server", "cli", "sandbox"]
