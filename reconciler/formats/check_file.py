"""The results of `check` as JSON (docs/contract.md#drift)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError

from reconciler.formats.json_text import FormatError, ReadPart, describe_place, dump, refuse_repeated_keys
from reconciler.model import CheckResult, CheckStage, Event, ReceiverCheck

CHECK_FORMAT = "reconciler.check/1"


def encode_check(result: CheckResult) -> str:
    """Encode `check --format json` (docs/contract.md#drift). A `warning` is not a failure."""
    passed = sum(1 for receiver in result.receivers if receiver.ok)
    summary = {
        "receivers": len(result.receivers),
        "passed": passed,
        "failed": len(result.receivers) - passed,
        "warnings": sum(1 for receiver in result.receivers if receiver.warning),
    }
    if result.interrupted:
        summary["unchecked"] = result.unchecked
    receivers = [_receiver_out(receiver) for receiver in result.receivers]
    head = {"format": CHECK_FORMAT, "posted": result.posted, "interrupted": result.interrupted}
    return dump({**head, "summary": summary, "receivers": receivers})


def _receiver_out(receiver: ReceiverCheck) -> dict[str, Any]:
    return {
        "url": receiver.url,
        "event": receiver.event.value,
        "environments": list(receiver.environments),
        "ok": receiver.ok,
        "stage": receiver.stage.value,
        "status": receiver.status,
        "latency_s": receiver.latency_s,
        "addresses": list(receiver.addresses),
        "certificate_days": receiver.certificate_days,
        "message": receiver.message,
        "warning": receiver.warning,
    }


class _Receiver(ReadPart):
    url: str
    event: Event
    environments: tuple[str, ...]
    ok: bool
    stage: CheckStage
    status: int | None = None
    latency_s: float | None = Field(None, allow_inf_nan=False)
    addresses: tuple[str, ...] = ()
    certificate_days: int | None = None
    message: str = ""
    warning: str = ""


class CheckFile(ReadPart):
    format: Literal["reconciler.check/1"]
    receivers: tuple[_Receiver, ...]


def decode_check(data: bytes) -> list[ReceiverCheck]:
    """Decode the receivers. Raises FormatError for anything that is not a result of `check`."""
    try:
        parsed = CheckFile.model_validate_json(data)
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise FormatError(f"is not a result of check (at {describe_place(error, ReadPart)}: {fault})") from None
    refuse_repeated_keys(data)
    return [ReceiverCheck(**one.model_dump()) for one in parsed.receivers]
