"""The steps and jobs of an apply run. The first job decides on them, and each job plans its own part.

A wave with something to put is a step. The last step has all further waves: its jobs run one after the other, and each
checks that the earlier waves are done. A job is for one environment, for a shard of a wave, or for the fleet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, ValidationError, convert
from msgspec.structs import asdict, replace

from reconciler.core.digest import plan_digest
from reconciler.core.shard import find_shard, holds, parse_shard
from reconciler.core.workflow.names import FLEET_ENVIRONMENT, SECRETS_SECRET, TOKENS_SECRET, number_secret
from reconciler.errors import InputError
from reconciler.model import Action, Desired, EnvironmentPlan, Head, Problem, Shard

STEPS = 8
MAX_JOBS = 256  # GitHub's limit for a matrix
MAX_PLANNED_CHARS = 120_000  # of all names, which the last job gets in a variable: Linux allows 128 KiB
FLEET = "Fleet"  # names of environments have no capital letters, so no job of an environment has this name


class TokensFrom(StrEnum):
    """The places of the tokens: each in its own GitHub Environment, or all in secrets of one."""

    ENVIRONMENTS = "environments"
    SECRET = "secret"  # noqa: S105 - a setting's value


class JobLayout(Struct, frozen=True):
    """The settings for making jobs. If the tokens are in one secret and `shards` is 0, one job has the whole fleet."""

    tokens_from: TokensFrom = TokensFrom.ENVIRONMENTS
    shards: int = 0


def parse_layout(tokens_from: str, shards: str) -> JobLayout:
    """Return the layout in the variables PLUG_TOKENS_FROM and PLUG_SHARDS. An empty text counts as not given.

    Raises InputError with every problem.
    """
    problems = []
    chosen = tokens_from.strip() or TokensFrom.ENVIRONMENTS
    if chosen not in tuple(TokensFrom):
        problems.append(Problem.of("PLUG_TOKENS_FROM", f"unknown value {chosen!r}", "write `environments` or `secret`"))
    count, text = 0, shards.strip()
    if text and not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MAX_JOBS):
        problems.append(Problem.of("PLUG_SHARDS", f"{text!r} is not a number from 1 to {MAX_JOBS}"))
    elif text and chosen == TokensFrom.ENVIRONMENTS:
        hint = "set PLUG_TOKENS_FROM to secret, or delete PLUG_SHARDS"
        problems.append(Problem.of("PLUG_SHARDS", "has an effect only if the tokens are in one secret", hint))
    elif text:
        count = int(text)
    if problems:
        raise InputError(problems=problems)
    return JobLayout(TokensFrom(chosen), count)


class Job(Struct, frozen=True):
    """One job of a step, as it is in the matrix.

    `environment` is its GitHub Environment. `tokens` and `secrets` are the names of the secrets that contain all its
    tokens and secrets; they are empty if it has one token, in PLUG_TOKEN. `wave` is None if it applies all waves.
    `waits`: it must check that the earlier waves are done.
    """

    name: str
    environment: str
    wave: int | None
    digest: str
    tokens: str = ""
    secrets: str = ""
    shard: str = ""
    waits: bool = False

    @property
    def selects_all(self) -> bool:
        """Return whether it applies all environments of its wave and shard, and not just the one of its name."""
        return bool(self.tokens)


Steps: TypeAlias = tuple[tuple[Job, ...], ...]
"""The jobs of each of the eight steps."""


def name_shard_job(wave: int, shard: Shard) -> str:
    """Return the name of a shard's job. It is also used as a file name, and no environment can have it."""
    return f"Wave-{wave}-shard-{shard.number}-of-{shard.of}"


def make_steps(planned: Iterable[EnvironmentPlan], layout: JobLayout) -> Steps:
    """Return the jobs for the environments that would be PUT, in the order of `planned` within a wave."""
    putting = [one for one in planned if one.action.puts]
    if layout.tokens_from is TokensFrom.SECRET and not layout.shards:
        return _place_in_steps([(_make_fleet_job(putting),)] if putting else [])
    waves: dict[int, list[EnvironmentPlan]] = {}
    for one in putting:
        waves.setdefault(one.wave, []).append(one)
    return _place_in_steps([tuple(_make_jobs(members, layout)) for _, members in sorted(waves.items())])


def _make_jobs(members: Sequence[EnvironmentPlan], layout: JobLayout) -> Iterable[Job]:
    """Yield the jobs of one wave: one for each environment, or for each shard."""
    wave = members[0].wave
    if layout.tokens_from is TokensFrom.ENVIRONMENTS:
        for one in members:
            yield Job(one.environment, one.environment, wave, plan_digest([one]))
        return
    shards: dict[int, list[EnvironmentPlan]] = {}
    for one in members:
        shards.setdefault(find_shard(one.environment, layout.shards).number, []).append(one)
    for number, part in sorted(shards.items()):
        yield _make_shard_job(wave, Shard(number, layout.shards), part)


def _make_fleet_job(putting: Sequence[EnvironmentPlan]) -> Job:
    return Job(FLEET, FLEET_ENVIRONMENT, None, plan_digest(putting), TOKENS_SECRET, SECRETS_SECRET)


def _make_shard_job(wave: int, shard: Shard, part: Sequence[EnvironmentPlan]) -> Job:
    return Job(
        name_shard_job(wave, shard),
        FLEET_ENVIRONMENT,
        wave,
        plan_digest(part),
        tokens=number_secret(TOKENS_SECRET, shard.number),
        secrets=number_secret(SECRETS_SECRET, shard.number),
        shard=str(shard),
    )


def _place_in_steps(waves: Sequence[tuple[Job, ...]]) -> Steps:
    """Return the steps: a wave in each, and all further waves in the last one."""
    steps = [*waves[: STEPS - 1]]
    last = [replace(job, waits=True) for wave in waves[STEPS - 1 :] for job in wave]
    steps += [()] * (STEPS - 1 - len(steps))
    return (*steps, tuple(last))


def count_jobs(steps: Steps) -> int:
    return sum(map(len, steps))


def find_too_many_jobs(steps: Steps, layout: JobLayout) -> Problem | None:
    """Refuse more jobs than GitHub allows in one run."""
    count = count_jobs(steps)
    if count <= MAX_JOBS:
        return None
    message = f"{count:,} jobs would be needed, but GitHub allows {MAX_JOBS} in one run"
    if layout.tokens_from is TokensFrom.ENVIRONMENTS:
        hint = (
            "set the variable PLUG_TOKENS_FROM to secret, with all tokens in the secret PLUG_TOKENS of the GitHub "
            f"Environment {FLEET_ENVIRONMENT}; or run it by hand with `environments`, a part at a time"
        )
        return Problem.of("environments", message, hint)
    return Problem.of("PLUG_SHARDS", message, "choose fewer shards, or use fewer waves")


# --- the part of a job -------------------------------------------------------------------------------


def find_part(job: Job, desired: Iterable[Desired], selected: Collection[str]) -> frozenset[str]:
    """Return the names of the environments that the job applies. `selected` are those of the whole run."""
    if not job.selects_all:
        return frozenset({job.name})
    shard = parse_shard(job.shard) if job.shard else None
    return frozenset(
        one.environment
        for one in desired
        if one.environment in selected
        and job.wave in (None, one.wave)
        and (shard is None or holds(shard, one.environment))
    )


class EarlierWave(Struct, frozen=True):
    """An environment of an earlier wave. `action` is from a plan made now, without --reassert."""

    environment: str
    action: Action
    head: Head | None


def find_waiting(earlier: Iterable[EarlierWave], run_id: str, *, reassert: bool) -> list[str]:
    """Return the environments of earlier waves that are not done.

    An environment is done if nothing is left to put. With `reassert`, an attempt of this run must also have applied it.
    """
    return sorted(
        one.environment
        for one in earlier
        if one.action.puts or (reassert and not is_of_run(_find_applying_run(one.head), run_id))
    )


def _find_applying_run(head: Head | None) -> str | None:
    return head.applied.by.run if head is not None and head.applied is not None else None


def is_of_run(run: str | None, run_id: str) -> bool:
    """Return whether a document's `by.run`, such as `7001/2`, is an attempt of the run."""
    return run is not None and run.partition("/")[0] == run_id


# --- the matrix --------------------------------------------------------------------------------------

_NOT_A_JOB = "is not a job of the first job's output"


def encode_jobs(jobs: Iterable[Job]) -> list[Mapping[str, object]]:
    """Return the jobs as values of JSON: GitHub's `matrix.include`."""
    return [asdict(job) for job in jobs]


def decode_job(value: object) -> Job:
    """Return the job of one entry of the matrix, which has every field. Raises ValueError for anything else."""
    if not isinstance(value, dict) or value.keys() != set(Job.__struct_fields__):
        raise ValueError(_NOT_A_JOB)
    try:
        return convert(value, Job)
    except ValidationError as error:
        raise ValueError(_NOT_A_JOB) from error
