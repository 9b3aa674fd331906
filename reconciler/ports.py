"""What `run/` needs of the world. Each docstring is the specification of its implementers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from reconciler.errors import StateError
from reconciler.model import Applied, Desired, Document, Fingerprint, Head, Original, Problem, Stored, Webhooks

if TYPE_CHECKING:  # what a plan needs nothing of
    from reconciler.core.attempts import Attempt
    from reconciler.core.observe import EventComparison
    from reconciler.core.receivers import Answer, Place, ProbeResult, Receiver


@dataclass(frozen=True, slots=True)
class Write:
    """Put `document` (None: delete) where the stored version is `expected` (None: nothing is stored).

    `original` are the document's bytes in the store that it is copied from; None: they are made anew.
    """

    environment: str
    document: Document | None
    expected: str | None
    original: bytes | None = None


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of one `Write`: durable under `version`, or not done because of `error`.

    `error` is a `Conflict` when another version stood there. With any other error the write may or may
    not have landed; the caller must not act as if it had.
    """

    environment: str
    version: str | None
    error: StateError | None = None


class StateStore(Protocol):
    """The memory of what was applied (CONTRACT §7). Blocking: callers run it off the event loop.

    Must: never show half a document; never overwrite a version other than the expected; return from
    `write` only once what it calls written survives a power cut. Reading must write nothing, and a store
    that doesn't exist yet is an empty state. Need not: keep an order between the writes of one batch.
    """

    @property
    def location(self) -> str:
        """As the `state` setting writes it, for messages."""
        ...

    @property
    def gather_s(self) -> float:
        """How long a write may wait for others to join it, where each costs a journey; 0: not at all."""
        ...

    def names(self) -> frozenset[str]:
        """What has a document, also under a name that fits no environment. Raises Unreachable."""
        ...

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        """The documents of those environments that have one.

        Raises Corrupt or NewerFormat naming each bad document among those asked for (and no other),
        Unreachable. A document that can't be read is never taken for a missing one.
        """
        ...

    def read_originals(self, environments: Iterable[str]) -> dict[str, Original]:
        """As `read`, with the bytes as they are stored, for a copy of them."""
        ...

    def read_heads(self, environments: Iterable[str]) -> dict[str, Head]:
        """As `read`, without the past: of a whole fleet that takes most of the memory, and decides nothing.

        Must: refuse what `read` refuses, a corrupt past too.
        """
        ...

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Each write on its own a compare-and-swap, all results in the order given. Never raises StateError.

        Must: refuse a document that this version could not read again.
        """
        ...

    def close(self) -> None:
        """Gives back what the store holds: a folder, a connection."""
        ...


class Plug(Protocol):
    """The update call. `put` sends one attempt and never raises for what the network or server did."""

    async def put(self, desired: Desired) -> Attempt: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """One attempt to read an account. `comparisons` is None where it showed nothing: `attempt.message` says why."""

    attempt: Attempt
    comparisons: tuple[EventComparison, ...] | None = None


class Observer(Protocol):
    """The partner API's read (FACTS P).

    `read` makes one attempt and never raises for what the network or server did. It compares what the account
    shows with `applied` (None: never applied) itself, as only it may see the secrets in the URLs: what it gives
    holds none, nor one that only `past` (as of `find_past`) tells of. The environment has an account_id. Must:
    send the partner token to the configured host alone.
    """

    async def read(self, desired: Desired, applied: Applied | None, past: Sequence[Webhooks] = ()) -> Reading: ...


class Fingerprinter(Protocol):
    """The tokens and secrets at hand, seen only as fingerprints."""

    def fingerprint(self, desired: Desired) -> Fingerprint: ...


class CredentialChecks(Fingerprinter, Protocol):
    """What must be true of the available tokens and secrets before a run. No value is ever given out.

    Must: read nothing but what it was made from; repeat no part of a value in a message.
    """

    def account(self, desired: Desired) -> str | None:
        """The token's account as the state names it (CONTRACT §7); None without a token."""
        ...

    def organization(self, desired: Desired) -> str | None:
        """The company that the token names, a hint and no proof; None without a token, or where it names none."""
        ...

    def find_malformed_tokens(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        """Values that can't be tokens."""
        ...

    def find_missing(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        """Why the environments can't be PUT: no token, no secret, or a URL that is not valid once it is filled in."""
        ...

    def find_shared_accounts(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        """Environments whose tokens are equal or of one organization."""
        ...

    def find_expired(self, desired: Iterable[Desired], now: datetime) -> Sequence[str]:
        """A warning for each token that says of itself that it is no longer valid at `now`."""
        ...

    def find_partner_problems(
        self, observed: Sequence[Desired], token_env: str, allowed_hosts: Collection[str]
    ) -> Sequence[Problem]:
        """Why the accounts of `observed` can't be read with the partner token in the variable `token_env`."""
        ...


class Receivers(Protocol):
    """The servers behind the webhooks (CONTRACT §8). Nothing here raises for what a network or a server did.

    Must: connect to no address that `choose_addresses` leaves out, and in a `post` to none but the probe's; never
    follow a redirect; end within the timeout; put nothing of an answer, and no filled-in URL, into a message.
    """

    async def probe(self, place: Place) -> ProbeResult:
        """Resolves the name, connects, and speaks TLS where the scheme asks for it; sends nothing more."""
        ...

    async def post(self, receiver: Receiver, probe: ProbeResult, body: bytes) -> Answer:
        """One POST of `body`, to the address of a probe that went well. May use a connection of an earlier one."""
        ...

    async def leave(self, place: Place) -> None:
        """No further POST goes there: gives its connections back."""
        ...


@dataclass(frozen=True, slots=True)
class PullRequest:
    """As GitHub shows one. None: it doesn't say."""

    number: int | None
    head_sha: str | None  # its last commit


@dataclass(frozen=True, slots=True)
class Posted:
    """`done`: created, updated, unchanged or closed; `url` is where it is looked at."""

    done: str
    url: str


@dataclass(frozen=True, slots=True)
class CommitStatus:
    context: str
    state: str  # success or failure
    description: str


@dataclass(frozen=True, slots=True)
class Issue:
    """`closing` is the last comment of one that is closed."""

    title: str
    text: str
    closing: str


class Hub(Protocol):
    """The repository on GitHub in whose workflow this process runs. Every method raises PostFailed.

    Must: look for what an earlier try left before it writes, so that each call can be repeated; take for ours only
    what the workflows' own author wrote; send the token to GitHub alone.
    """

    @property
    def run_url(self) -> str: ...

    @property
    def sha(self) -> str:
        """The commit of the run."""
        ...

    @property
    def pull_request(self) -> PullRequest | None:
        """That of the event that began the run."""
        ...

    @property
    def may_only_read(self) -> bool:
        """Whether GitHub gives this run a token that may not write, whatever `permissions:` says."""
        ...

    def find_merged(self) -> PullRequest | None:
        """The pull request that brought the run's commit into the default branch; None for a direct push."""
        ...

    def put_comment(self, number: int, name: str, text: str) -> Posted:
        """The one comment of this name on a pull request: written, or rewritten."""
        ...

    def set_status(self, sha: str, status: CommitStatus) -> None: ...

    def find_reviewed_digest(self, sha: str, context: str) -> str | None:
        """The digest in the last status of this context that the workflows set on the commit."""
        ...

    def keep_issue(self, name: str, issue: Issue, *, label: str, is_open: bool) -> Posted | None:
        """The one issue of this name: opened, rewritten or closed; None where it is closed already."""
        ...

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Begin a run of another workflow."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds, never backwards."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def jitter(self) -> float:
        """A random number in [0, 1)."""
        ...
