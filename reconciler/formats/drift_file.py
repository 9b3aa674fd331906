"""Drift as JSON (docs/contract.md#drift)."""

from __future__ import annotations

from typing import Any, Literal

from reconciler.core.workflow.schedule import HEALABLE
from reconciler.formats.json_text import ReadPart, dump
from reconciler.formats.where_part import encode_where
from reconciler.model import Drift, Finding

DRIFT_FORMAT = "reconciler.drift/1"


def encode_drift(drift: Drift) -> str:
    """Encode `drift --format json` (docs/contract.md#drift), in the order given."""
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


class _Finding(ReadPart):
    environment: str
    kind: str


class DriftFile(ReadPart):
    format: Literal["reconciler.drift/1"]
    findings: list[_Finding]


def is_healable(found: DriftFile) -> bool:
    """Return whether an apply would fix any of the findings."""
    return any(one.kind in HEALABLE for one in found.findings)
