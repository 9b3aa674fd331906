"""The tokens and secrets of a fleet, split into the values of several GitHub secrets (docs/github.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from reconciler.core.workflow.names import SECRETS_SECRET, TOKENS_SECRET, number_secret
from reconciler.core.workflow.split import FileSizes, split_names
from reconciler.model import Unprinted
from reconciler.plug.secret import Secret
from reconciler.plug.secret_files import SecretValues

_FRAME_BYTES = len("{\n\n}\n")
_BETWEEN_BYTES = len(",\n")


class SplitSecret(Unprinted, frozen=True):
    """One GitHub secret: its name, and the number of environments in it. `data` is its value."""

    name: str
    environments: int
    data: bytes


def split_tokens(tokens: Mapping[str, Secret], parts: int) -> list[SplitSecret]:
    """Return the GitHub secrets PLUG_TOKENS_1, PLUG_TOKENS_2 and so on."""
    return [
        SplitSecret(
            number_secret(TOKENS_SECRET, number), len(names), _join(_value_line(name, tokens[name]) for name in names)
        )
        for number, names in enumerate(split_names(sorted(tokens), parts), 1)
    ]


def split_secrets(secrets: SecretValues, parts: int) -> list[SplitSecret]:
    """Return PLUG_SECRETS_1 and so on. Each has the values for all environments, and those of its own environments."""
    general = [_value_line(name, value) for name, value in sorted(secrets.general.items())]
    return [
        SplitSecret(
            number_secret(SECRETS_SECRET, number),
            len(names),
            _join([*general, *(_own_line(secrets, name) for name in names)]),
        )
        for number, names in enumerate(split_names(sorted(secrets.own), parts), 1)
    ]


def measure_tokens(tokens: Mapping[str, Secret]) -> FileSizes:
    """Return the sizes in bytes that decide into how many parts the tokens are split."""
    return FileSizes({name: _size_of(_value_line(name, value)) for name, value in tokens.items()}, _FRAME_BYTES)


def measure_secrets(secrets: SecretValues) -> FileSizes:
    """Return the sizes in bytes that decide into how many parts the secrets are split."""
    general = sum(_size_of(_value_line(name, value)) for name, value in secrets.general.items())
    return FileSizes({name: _size_of(_own_line(secrets, name)) for name in secrets.own}, _FRAME_BYTES + general)


def _value_line(name: str, value: Secret) -> str:
    return f"{_quote(name)}: {_quote(value.reveal())}"


def _own_line(secrets: SecretValues, environment: str) -> str:
    own = {name: value.reveal() for name, value in sorted(secrets.own[environment].items())}
    return f"{_quote(environment)}: {json.dumps(own, ensure_ascii=False)}"


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _size_of(line: str) -> int:
    return len(line.encode()) + _BETWEEN_BYTES


def _join(lines: Iterable[str]) -> bytes:
    return "{{\n{}\n}}\n".format(",\n".join(lines)).encode()
