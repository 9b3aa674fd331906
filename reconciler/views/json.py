"""The machine forms of CONTRACT §4 to §8: ASCII, two spaces, a final newline, keys in the contract's order."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from reconciler import __version__
from reconciler.core import escape
from reconciler.core.digest import digest_of
from reconciler.model import (
    Action,
    By,
    Change,
    CheckResult,
    Document,
    EnvironmentPlan,
    EnvironmentResult,
    Finding,
    Outcome,
    Plan,
    Problem,
    Reason,
    ReceiverCheck,
    RunResult,
    SourceRef,
)
from reconciler.views import words

PLAN_FORMAT = "reconciler.plan/1"
RESULT_FORMAT = "reconciler.result/1"
DRIFT_FORMAT = "reconciler.drift/1"
CHECK_FORMAT = "reconciler.check/1"
VALIDATION_FORMAT = "reconciler.validation/1"
STATE_LIST_FORMAT = "reconciler.state-list/1"
STATE_HISTORY_FORMAT = "reconciler.state-history/1"


def render_plan(plan: Plan) -> str:
    """`plan --format json`, and what `--out` saves (CONTRACT §5).

    `checksum` is over all the rest: a plan file that was edited says so.
    """
    count = words.action_counts(plan)
    value = {
        "format": PLAN_FORMAT,
        "tool": f"reconciler {__version__}",
        "created_at": words.instant(plan.created_at),
        "manifests_digest": plan.manifests_digest,
        "digest": plan.digest,
        "selection": list(plan.selection),
        "requested": plan.requested,
        "observed": plan.observed,
        "shard": None if plan.shard is None else str(plan.shard),
        "warnings": list(plan.warnings),
        "summary": {action.value: count[action] for action in Action},
        "environments": [_planned_out(planned) for planned in plan.environments],
    }
    return _dump({**value, "checksum": digest_of(value)})


def _planned_out(planned: EnvironmentPlan) -> dict[str, Any]:
    out: dict[str, Any] = {
        "environment": planned.environment,
        "action": planned.action.value,
        "wave": planned.wave,
        "reasons": [reason.value for reason in planned.reasons],
        "unchecked": list(planned.unchecked),
        "source": _source_out(planned.source),
        "changes": [_change_out(change) for change in planned.changes],
        "state": {"serial": planned.serial, "lineage": planned.lineage},
    }
    if Reason.LIVE_DRIFT in planned.reasons:
        out["live"] = [{"event": one.event.value, "actual": one.actual} for one in planned.live]
    return out


def _source_out(source: SourceRef | None) -> dict[str, Any] | None:
    return None if source is None else {"file": source.file, "line": source.line}


def _change_out(change: Change) -> dict[str, Any]:
    return {
        "event": change.event.value,
        "before": change.before,
        "after": change.after,
        "file": change.source.file,
        "line": change.source.line,
    }


def render_result(result: RunResult) -> str:
    """`apply --format json` (CONTRACT §6.12)."""
    count = Counter(one.outcome for one in result.environments)
    return _dump(
        {
            "format": RESULT_FORMAT,
            "summary": {outcome.value: count[outcome] for outcome in Outcome},
            "environments": [_result_out(one) for one in result.environments],
        }
    )


def _result_out(one: EnvironmentResult) -> dict[str, Any]:
    return {
        "environment": one.environment,
        "outcome": one.outcome.value,
        "reasons": [reason.value for reason in one.reasons],
        "attempts": one.attempts,
        "status": one.status,
        "message": one.message,
        "seconds": round(one.seconds, 3),
    }


def render_drift(findings: Iterable[Finding]) -> str:
    """`drift --format json` (CONTRACT §8), in the order given."""
    return _dump({"format": DRIFT_FORMAT, "findings": [_finding_out(finding) for finding in findings]})


def _finding_out(finding: Finding) -> dict[str, Any]:
    return {
        "environment": finding.environment,
        "kind": finding.kind.value,
        "event": None if finding.event is None else finding.event.value,
        "expected": finding.expected,
        "actual": finding.actual,
        "message": finding.message,
    }


def render_check(result: CheckResult) -> str:
    """`check --format json` (CONTRACT §8). A receiver's `warning` is no failure."""
    passed = sum(1 for receiver in result.receivers if receiver.ok)
    summary = {
        "receivers": len(result.receivers),
        "passed": passed,
        "failed": len(result.receivers) - passed,
        "warnings": sum(1 for receiver in result.receivers if receiver.warning),
    }
    receivers = [_checked_out(receiver) for receiver in result.receivers]
    return _dump({"format": CHECK_FORMAT, "posted": result.posted, "summary": summary, "receivers": receivers})


def _checked_out(receiver: ReceiverCheck) -> dict[str, Any]:
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


def render_validation(errors: Sequence[Problem], warnings: Sequence[Problem]) -> str:
    """`validate --format json` (CONTRACT §4)."""
    return _dump(
        {
            "format": VALIDATION_FORMAT,
            "ok": not errors,
            "errors": [_problem_out(problem) for problem in errors],
            "warnings": [_problem_out(problem) for problem in warnings],
        }
    )


def _problem_out(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "key": problem.key,
        "message": problem.message,
        "hint": problem.hint,
    }


def render_state_list(documents: Iterable[Document], now: datetime) -> str:
    """`state list --format json`, sorted by name; `now` tells a lease that lasts from one that ran out."""
    ordered = sorted(documents, key=lambda document: document.environment)
    return _dump({"format": STATE_LIST_FORMAT, "environments": [_listed_out(one, now) for one in ordered]})


def _listed_out(document: Document, now: datetime) -> dict[str, Any]:
    applied, intent = document.applied, document.intent
    by = applied.by if applied else By()
    return {
        "environment": document.environment,
        "serial": document.serial,
        "lineage": document.lineage,
        "applied_at": words.instant(applied.at) if applied else None,
        "adopted": applied.adopted if applied else False,
        "actor": by.actor,
        "commit": by.commit,
        "run": by.run,
        "doubt": words.is_in_doubt(intent, now),
        "lease_until": words.instant(intent.lease_until) if intent else None,
        "locked": words.is_locked(document, now),
    }


def render_state_history(document: Document) -> str:
    """`state history --format json`, newest first."""
    return _dump(
        {
            "format": STATE_HISTORY_FORMAT,
            "environment": document.environment,
            "history": [
                {
                    "at": words.instant(entry.at),
                    "adopted": entry.adopted,
                    "by": {"actor": entry.by.actor, "commit": entry.by.commit, "run": entry.by.run},
                    "webhooks": {event.value: url for event, url in entry.webhooks.items()},
                }
                for entry in document.history
            ],
        }
    )


def _dump(value: dict[str, Any]) -> str:
    return escape.for_json(json.dumps(value, indent=2, ensure_ascii=True)) + "\n"
