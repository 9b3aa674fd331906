"""The inputs of our action, as the runner hands them to a step: variables whose names begin with INPUT_."""

from __future__ import annotations

import json
from collections.abc import Mapping

from reconciler.errors import InputError


def find_input_tokens(environ: Mapping[str, str], environment: str | None) -> str:
    """The text of a tokens file: of INPUT_TOKENS, or with INPUT_TOKEN as the one token of `environment`.

    Raises InputError where the secret behind it is not set.
    """
    if environment is None:
        given = environ.get("INPUT_TOKENS") or None
        if given is None:
            hint = "add it to the repository: YAML or JSON, environment to token"
            raise InputError.of("PLUG_TOKENS", "the secret is not set", hint)
        return given
    token = environ.get("INPUT_TOKEN") or None
    if token is None:
        hint = f"add the secret PLUG_TOKEN to the GitHub Environment {environment}"
        raise InputError.of("PLUG_TOKEN", f"no token for {environment}", hint)
    return json.dumps({environment: token})
