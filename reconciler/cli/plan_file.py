"""Plan files: what `plan --out` writes and `apply PLANFILE` reads (CONTRACT §5)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from reconciler.cli.files import write_whole
from reconciler.cli.places import describe_place
from reconciler.core.digest import digest_of
from reconciler.core.shard import parse_shard
from reconciler.errors import InputError
from reconciler.model import (
    Action,
    Change,
    EnvironmentPlan,
    Event,
    LiveDifference,
    Plan,
    Problem,
    Reason,
    SourceRef,
)
from reconciler.run.saved import SavedPlan
from reconciler.views.json import render_plan

MAX_BYTES = 256 * 1024 * 1024


def write_plan_file(path: Path, plan: Plan) -> None:
    """Atomically, so that a full disk leaves no half a plan. Raises InputError where it can't be written."""
    try:
        write_whole(path, render_plan(plan))
    except OSError as error:
        raise _wrong(path, f"can't be written: {error.strerror}", key="--out") from error


# of a line of GITHUB_OUTPUT and of a commit's status: nothing but what it should be
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Source(_Part):
    file: str
    line: int


class _Change(_Part):
    event: Event
    before: str | None
    after: str
    file: str
    line: int


class _Live(_Part):
    event: Event
    actual: str | None


class _State(_Part):
    serial: int
    lineage: str | None


class _Environment(_Part):
    environment: str
    action: Action
    wave: int
    reasons: list[Reason]
    unchecked: list[str]
    source: _Source | None
    changes: list[_Change]
    state: _State
    live: list[_Live] = []

    def value(self) -> EnvironmentPlan:
        return EnvironmentPlan(
            environment=self.environment,
            action=self.action,
            wave=self.wave,
            reasons=tuple(self.reasons),
            unchecked=tuple(self.unchecked),
            source=None if self.source is None else SourceRef(self.source.file, self.source.line, 1),
            changes=tuple(
                Change(one.event, one.before, one.after, SourceRef(one.file, one.line, 1)) for one in self.changes
            ),
            serial=self.state.serial,
            lineage=self.state.lineage,
            live=tuple(LiveDifference(one.event, one.actual) for one in self.live),
        )


class _Plan(_Part):
    format: Literal["reconciler.plan/1"]
    tool: str
    created_at: AwareDatetime
    manifests_digest: Digest
    digest: Digest
    checksum: Digest
    selection: list[str]
    requested: bool
    observed: bool = False
    shard: str | None = None
    warnings: list[str]
    summary: Annotated[dict[str, int], Field()]
    environments: list[_Environment]


def read_plan_file(path: Path, shown: str) -> SavedPlan:
    """Raises InputError for what is unreadable or no plan of this program. An edited one is told by `intact`."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _wrong(shown, f"can't be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise _wrong(shown, "is larger than 256 MiB")
    try:
        value: Any = json.loads(data)
        parsed = _Plan.model_validate_json(data)
    except ValidationError as error:
        place = describe_place(error, _Part)
        raise _wrong(shown, f"is no plan of this version of reconciler (at {place})") from None
    except (ValueError, RecursionError):
        raise _wrong(shown, "is no plan: not JSON") from None
    checksum = value.pop("checksum")
    try:
        shard = None if parsed.shard is None else parse_shard(parsed.shard)
    except ValueError:
        raise _wrong(shown, "is no plan of this version of reconciler (at shard)") from None
    plan = Plan(
        created_at=parsed.created_at,
        manifests_digest=parsed.manifests_digest,
        digest=parsed.digest,
        environments=tuple(one.value() for one in parsed.environments),
        selection=tuple(parsed.selection),
        requested=parsed.requested,
        observed=parsed.observed,
        shard=shard,
    )
    return SavedPlan(plan, intact=checksum == digest_of(value))


def _wrong(path: Path | str, message: str, key: str = "PLANFILE") -> InputError:
    hint = "name a file in a folder that can be written"
    if key == "PLANFILE":
        hint = "make one with `reconciler plan --out FILE`; one environment is `-e NAME`"
    return InputError(problems=[Problem("", 0, 0, key, f"{path} {message}", hint)])
