"""What `check --format json` printed, read back (CONTRACT §8)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reconciler.cli.places import describe_place
from reconciler.core.overview import CheckedReceiver
from reconciler.errors import InputError
from reconciler.model import Event, Problem

MAX_BYTES = 256 * 1024 * 1024
HINT = "make one with `reconciler check --format json`"


class _Part(BaseModel):
    """Types are held to; what a later version adds is passed over."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class _Receiver(_Part):
    url: str
    event: Event
    environments: tuple[str, ...]
    ok: bool
    stage: str = ""
    status: int | None = None
    latency_s: float | None = Field(None, allow_inf_nan=False)
    addresses: tuple[str, ...] = ()
    certificate_days: int | None = None
    message: str = ""
    warning: str = ""


class _Check(_Part):
    format: Literal["reconciler.check/1"]
    receivers: tuple[_Receiver, ...]


def read_check_file(path: Path, shown: str) -> list[CheckedReceiver]:
    """Raises InputError for what can't be read or is no result of `check`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _wrong(f"{shown} can't be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise _wrong(f"{shown} is larger than 256 MiB")
    try:
        parsed = _Check.model_validate_json(data)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise _wrong(f"{shown} is no result of check (at {describe_place(error, _Part)}: {fault})") from None
    return [CheckedReceiver(**one.model_dump()) for one in parsed.receivers]


def _wrong(message: str) -> InputError:
    return InputError(problems=[Problem("", 0, 0, "--check", message, HINT)])
