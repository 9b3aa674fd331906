"""The names of environment variables that hold a token."""

from __future__ import annotations

NOT_A_TOKEN = "PLUG_TOKENS"  # noqa: S105 - the workflows' variables PLUG_TOKENS and PLUG_TOKENS_FROM


def is_token_variable(name: str, prefix: str) -> bool:
    """Return whether a variable holds a token: its name begins with the setting `token_prefix`.

    The names of the workflows' own variables begin with it too, but these hold a tokens file or a setting.
    """
    return name.startswith(prefix) and (prefix.startswith(NOT_A_TOKEN) or not name.startswith(NOT_A_TOKEN))
