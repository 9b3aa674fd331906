"""How an apply run is cut into steps and jobs. The first job decides it, and the jobs read their own part.

A wave with something to put is a step; the last step holds all further waves, whose jobs run one after the other and
each look whether the earlier waves are done. A job is for one environment, for a shard of a wave, or for the fleet.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TypeAlias

from reconciler.core.digest import plan_digest
from reconciler.core.shard import find_shard, holds, parse_shard
from reconciler.errors import InputError
from reconciler.model import Action, Desired, EnvironmentPlan, Head, Problem, Shard

STEPS = 8
MAX_JOBS = 256  # of a matrix, by GitHub
MAX_PLANNED_CHARS = 120_000  # of the names, which the last job gets in a variable: Linux takes 128 KiB of one
FLEET_ENVIRONMENT = "plug-fleet"  # the GitHub Environment of the jobs for several environments
FLEET = "Fleet"  # no environment has a capital letter, so none is taken for such a job


class TokensFrom(StrEnum):
    """Where the tokens are: each in its own GitHub Environment, or all in secrets of one."""

    ENVIRONMENTS = "environments"
    SECRET = "secret"  # noqa: S105 - a setting's value


@dataclass(frozen=True, slots=True)
class JobLayout:
    """How jobs are made. Without `shards` one job holds the whole fleet, where the tokens are in one secret."""

    tokens_from: TokensFrom = TokensFrom.ENVIRONMENTS
    shards: int = 0


def parse_layout(tokens_from: str, shards: str) -> JobLayout:
    """Read the variables PLUG_TOKENS_FROM and PLUG_SHARDS; an empty text counts as not given.

    Raises: InputError with every fault.
    """
    problems = []
    chosen = tokens_from.strip() or TokensFrom.ENVIRONMENTS
    if chosen not in tuple(TokensFrom):
        problems.append(Problem.of("PLUG_TOKENS_FROM", f"unknown value {chosen!r}", "write `environments` or `secret`"))
    count, text = 0, shards.strip()
    if text and not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_JOBS and len(text) <= 3):
        problems.append(Problem.of("PLUG_SHARDS", f"{text!r} is not a number from 1 to {MAX_JOBS}"))
    elif text and chosen == TokensFrom.ENVIRONMENTS:
        hint = "set PLUG_TOKENS_FROM to secret, or delete PLUG_SHARDS"
        problems.append(Problem.of("PLUG_SHARDS", "counts only where the tokens are in one secret", hint))
    elif text:
        count = int(text)
    if problems:
        raise InputError(problems=problems)
    return JobLayout(TokensFrom(chosen), count)


@dataclass(frozen=True, slots=True)
class Job:
    """One job of a step, as it is handed over in the matrix.

    `environment` is its GitHub Environment; `tokens` and `secrets` are the names of the secrets that hold all its
    tokens and secrets, empty where it has the one token of PLUG_TOKEN. `wave` is None where it does all of them.
    `waits` is whether it looks by itself if the earlier waves are done.
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
        """Whether its part are all environments of its wave and shard, and not the one of its name."""
        return bool(self.tokens)


Steps: TypeAlias = tuple[tuple[Job, ...], ...]
"""The jobs of each of the eight steps."""


def name_shard_job(wave: int, shard: Shard) -> str:
    """Return the name of a shard's job, which is also the name of a file, and of no environment."""
    return f"Wave-{wave}-shard-{shard.number}-of-{shard.of}"


def make_steps(planned: Iterable[EnvironmentPlan], layout: JobLayout) -> Steps:
    """Return the jobs of what would be PUT, in the order of `planned` within a wave."""
    putting = [one for one in planned if one.action.puts]
    if layout.tokens_from is TokensFrom.SECRET and not layout.shards:
        fleet = _make_part(FLEET, putting, None) if putting else ()
        return _fill([fleet])
    waves: dict[int, list[EnvironmentPlan]] = {}
    for one in putting:
        waves.setdefault(one.wave, []).append(one)
    return _fill([tuple(_make_jobs(members, layout)) for _, members in sorted(waves.items())])


def _make_jobs(members: Sequence[EnvironmentPlan], layout: JobLayout) -> Iterable[Job]:
    wave = members[0].wave
    if layout.tokens_from is TokensFrom.ENVIRONMENTS:
        for one in members:
            yield Job(one.environment, one.environment, wave, plan_digest([one]))
        return
    shards: dict[int, list[EnvironmentPlan]] = {}
    for one in members:
        shards.setdefault(find_shard(one.environment, layout.shards).number, []).append(one)
    for number, part in sorted(shards.items()):
        shard = Shard(number, layout.shards)
        yield from _make_part(name_shard_job(wave, shard), part, wave, shard)


def _make_part(
    name: str, part: Sequence[EnvironmentPlan], wave: int | None, shard: Shard | None = None
) -> tuple[Job, ...]:
    ending = "" if shard is None else f"_{shard.number}"
    job = Job(
        name,
        FLEET_ENVIRONMENT,
        wave,
        plan_digest(part),
        tokens=f"PLUG_TOKENS{ending}",
        secrets=f"PLUG_SECRETS{ending}",
        shard="" if shard is None else str(shard),
    )
    return (job,)


def _fill(waves: Sequence[tuple[Job, ...]]) -> Steps:
    """Put each wave into a step; the last step has all further ones."""
    steps = [*waves[: STEPS - 1]]
    last = [Job(**{**asdict(job), "waits": True}) for wave in waves[STEPS - 1 :] for job in wave]
    steps += [()] * (STEPS - 1 - len(steps))
    return (*steps, tuple(last))


def count_jobs(steps: Steps) -> int:
    return sum(map(len, steps))


def find_too_many_jobs(steps: Steps, layout: JobLayout) -> Problem | None:
    """Refuse more jobs than GitHub gives one run."""
    count = count_jobs(steps)
    if count <= MAX_JOBS:
        return None
    message = f"{count:,} jobs would be needed, and GitHub gives {MAX_JOBS} in one run"
    if layout.tokens_from is TokensFrom.ENVIRONMENTS:
        hint = (
            "set the variable PLUG_TOKENS_FROM to secret, with all tokens in the secret PLUG_TOKENS of the GitHub "
            f"Environment {FLEET_ENVIRONMENT}; or run it by hand with `environments`, a part at a time"
        )
        return Problem.of("environments", message, hint)
    return Problem.of("PLUG_SHARDS", message, "choose fewer shards, or use fewer waves")


# --- what a job's part is ----------------------------------------------------------------------------


def find_part(job: Job, desired: Iterable[Desired], selected: Collection[str]) -> frozenset[str]:
    """Return the names of the environments that are the job's part. `selected` are those of the whole run."""
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


@dataclass(frozen=True, slots=True)
class EarlierWave:
    """What is known of an environment of an earlier wave. `action` is that of a plan of now, without --reassert."""

    environment: str
    action: Action
    head: Head | None


def find_waiting(earlier: Iterable[EarlierWave], run_id: str, *, reassert: bool) -> list[str]:
    """Return the environments of earlier waves that are not done.

    One is done where nothing is left to put. Where this run puts everything again, it must also have been applied by
    this run, in whichever attempt.
    """
    return sorted(
        one.environment
        for one in earlier
        if one.action.puts or (reassert and not is_of_run(_find_applying_run(one.head), run_id))
    )


def _find_applying_run(head: Head | None) -> str | None:
    return head.applied.by.run if head is not None and head.applied is not None else None


def is_of_run(run: str | None, run_id: str) -> bool:
    """Whether a document's `by.run`, such as `7001/2`, is an attempt of the run."""
    return run is not None and run.partition("/")[0] == run_id


# --- the matrix --------------------------------------------------------------------------------------


def encode_jobs(jobs: Iterable[Job]) -> list[Mapping[str, object]]:
    """Return the jobs as values of JSON: GitHub's `matrix.include`."""
    return [asdict(job) for job in jobs]


def decode_job(value: object) -> Job:
    """Return the job of one entry of the matrix. Raises ValueError for anything else."""
    if not isinstance(value, dict) or value.keys() != Job.__dataclass_fields__.keys():
        raise ValueError("is not a job of the first job's output")
    wave, waits = value["wave"], value["waits"]
    texts = (one for name, one in value.items() if name not in ("wave", "waits"))
    if not all(isinstance(text, str) for text in texts) or not isinstance(waits, bool):
        raise ValueError("is not a job of the first job's output")
    if wave is not None and (not isinstance(wave, int) or isinstance(wave, bool)):
        raise ValueError("is not a job of the first job's output")
    return Job(**value)
