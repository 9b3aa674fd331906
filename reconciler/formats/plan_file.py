"""Plan files, which `plan --out` writes and `apply PLANFILE` reads (docs/contract.md#plan)."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from msgspec.structs import asdict
from pydantic import AwareDatetime, Field, ValidationError

from reconciler import __version__
from reconciler.core.digest import digest_of
from reconciler.core.json_keys import RepeatedKey, take_unique
from reconciler.core.saved_plan import SavedPlan
from reconciler.core.shard import parse_shard
from reconciler.formats.json_text import ExactPart, FormatError, describe_place, dump
from reconciler.formats.where_part import ApiUsePart, StatePlacePart, decode_where, encode_where
from reconciler.model import (
    Action,
    AuthScheme,
    BodyForm,
    Change,
    Destination,
    EnvironmentPlan,
    Event,
    LiveDifference,
    Location,
    Plan,
    Reason,
)
from reconciler.text.instants import instant

PLAN_FORMAT = "reconciler.plan/1"


def encode_plan(plan: Plan) -> str:
    """Encode `plan --format json`, which is also the file of `--out` (docs/contract.md#plan).

    `checksum` is over all other keys, so that an edited plan file is noticed.
    """
    count = plan.count_actions()
    value = {
        "format": PLAN_FORMAT,
        "tool": f"reconciler {__version__}",
        "created_at": instant(plan.created_at),
        "manifests_digest": plan.manifests_digest,
        "fleet_digest": plan.fleet_digest,
        "digest": plan.digest,
        "selection": list(plan.selection),
        "requested": plan.requested,
        "observed": plan.observed,
        "shard": None if plan.shard is None else str(plan.shard),
        **encode_where(plan.where),
        "state_id": None if plan.where is None else plan.where.state_id,
        "new_state": plan.where is not None and plan.where.is_new,
        "new_hosts": list(plan.new_hosts),
        "warnings": list(plan.warnings),
        "summary": {action.value: count[action] for action in Action},
        "environments": [_planned_out(planned) for planned in plan.environments],
    }
    return dump({**value, "checksum": digest_of(value)})


def _planned_out(planned: EnvironmentPlan) -> dict[str, Any]:
    out: dict[str, Any] = {
        "environment": planned.environment,
        "action": planned.action.value,
        "wave": planned.wave,
        "reasons": [reason.value for reason in planned.reasons],
        "unchecked": list(planned.unchecked),
        "source": _source_out(planned.source),
        "destination": None if planned.destination is None else asdict(planned.destination),
        "endpoint_before": planned.endpoint_before,
        "body_before": planned.body_before,
        "changes": [_change_out(change) for change in planned.changes],
        "hosts": list(planned.hosts),
        "state": {"serial": planned.serial, "lineage": planned.lineage},
    }
    if Reason.LIVE_DRIFT in planned.reasons:
        out["live"] = [{"event": one.event.value, "actual": one.actual} for one in planned.live]
    return out


def _source_out(source: Location | None) -> dict[str, Any] | None:
    return None if source is None else {"file": source.file, "line": source.line}


def _change_out(change: Change) -> dict[str, Any]:
    return {
        "event": change.event.value,
        "before": change.before,
        "after": change.after,
        "file": change.source.file,
        "line": change.source.line,
    }


# a digest is copied into GITHUB_OUTPUT and a commit's status, so no other text may pass
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Source(ExactPart):
    file: str
    line: int


class _Change(ExactPart):
    event: Event
    before: str | None
    after: str
    file: str
    line: int


class _Destination(ExactPart):
    endpoint: str
    body: BodyForm
    auth_scheme: AuthScheme
    token_env: str

    def value(self) -> Destination:
        return Destination(self.endpoint, self.body, self.auth_scheme, self.token_env)


class _Live(ExactPart):
    event: Event
    actual: str | None


class _State(ExactPart):
    serial: int
    lineage: str | None


class _Environment(ExactPart):
    environment: str
    action: Action
    wave: int
    reasons: list[Reason]
    unchecked: list[str]
    source: _Source | None
    destination: _Destination | None
    endpoint_before: str | None
    body_before: BodyForm | None
    changes: list[_Change]
    state: _State
    live: tuple[_Live, ...] = ()  # only with the reason live-drift
    hosts: list[str]

    def value(self) -> EnvironmentPlan:
        return EnvironmentPlan(
            environment=self.environment,
            action=self.action,
            wave=self.wave,
            reasons=tuple(self.reasons),
            unchecked=tuple(self.unchecked),
            source=None if self.source is None else Location(self.source.file, self.source.line, 1),
            changes=tuple(
                Change(one.event, one.before, one.after, Location(one.file, one.line, 1)) for one in self.changes
            ),
            serial=self.state.serial,
            lineage=self.state.lineage,
            live=tuple(LiveDifference(one.event, one.actual) for one in self.live),
            hosts=tuple(self.hosts),
            destination=None if self.destination is None else self.destination.value(),
            endpoint_before=self.endpoint_before,
            body_before=self.body_before,
        )


class _Plan(ExactPart):
    format: Literal["reconciler.plan/1"]
    tool: str
    created_at: AwareDatetime
    manifests_digest: Digest
    fleet_digest: Digest
    digest: Digest
    checksum: Digest
    selection: list[str]
    requested: bool
    observed: bool
    shard: str | None
    state: StatePlacePart | None
    apis: list[ApiUsePart]
    state_id: Digest | None
    new_state: bool
    new_hosts: list[str]
    warnings: list[str]
    summary: dict[str, int]
    environments: list[_Environment]


def decode_plan(data: bytes) -> SavedPlan:
    """Decode a saved plan. An edited one is decoded too, with `intact` False.

    Raises FormatError for anything that is not a plan of this version.
    """
    try:
        value: Any = _load(data)
        parsed = _Plan.model_validate_json(data)
        shard = None if parsed.shard is None else parse_shard(parsed.shard)
    except ValidationError as error:
        place = describe_place(error, ExactPart)
        raise FormatError(f"is not a plan of this version of reconciler (at {place})") from None
    except json.JSONDecodeError:
        raise FormatError("is not a plan: not JSON") from None
    except (ValueError, RecursionError):
        raise FormatError("is not a plan of this version of reconciler") from None
    plan = Plan(
        created_at=parsed.created_at,
        manifests_digest=parsed.manifests_digest,
        fleet_digest=parsed.fleet_digest,
        digest=parsed.digest,
        environments=tuple(one.value() for one in parsed.environments),
        selection=tuple(parsed.selection),
        requested=parsed.requested,
        observed=parsed.observed,
        shard=shard,
        where=decode_where(parsed.state, parsed.apis, is_new=parsed.new_state, state_id=parsed.state_id),
        new_hosts=tuple(parsed.new_hosts),
    )
    return SavedPlan(plan, intact=value is not None and parsed.checksum == _checksum_of(value))


def _checksum_of(value: dict[str, Any]) -> str:
    return digest_of({key: one for key, one in value.items() if key != "checksum"})


def _load(data: bytes) -> Any:
    """Return the JSON value; None if a key is repeated in it, which this program never writes."""
    try:
        return json.loads(data, object_pairs_hook=take_unique)
    except RepeatedKey:
        return None
