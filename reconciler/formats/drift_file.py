"""Drift as JSON (CONTRACT §8)."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from reconciler.core.protocol.schedule import HEALABLE
from reconciler.formats.json_text import dump
from reconciler.formats.where_part import encode_where
from reconciler.model import Drift, Finding

DRIFT_FORMAT = "reconciler.drift/1"


def encode_drift(drift: Drift) -> str:
    """Encode `drift --format json` (CONTRACT §8), in the order given."""
    findings = [_finding_out(finding) for finding in drift.findings]
    return dump({"format": DRIFT_FORMAT, **encode_where(drift.where), "findings": findings})


def _finding_out(finding: Finding) -> dict[str, Any]:
    return {
        "environment": finding.environment,
        "kind": finding.kind.value,
        "event": None if finding.event is None else finding.event.value,
        "expected": finding.expected,
        "actual": finding.actual,
        "message": finding.message,
    }


class _Part(BaseModel):
    """A part of the file. Keys that a later version adds are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Finding(_Part):
    environment: str
    kind: str


class DriftFile(_Part):
    format: Literal["reconciler.drift/1"]
    findings: list[_Finding]


def is_healable(found: DriftFile) -> bool:
    """Whether an apply would fix any of it."""
    return any(one.kind in HEALABLE for one in found.findings)
