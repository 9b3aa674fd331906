"""The interfaces that `run/` needs of the outside world. Each docstring is the specification of its implementers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from reconciler.errors import StateError
from reconciler.model import (
    Applied,
    Desired,
    Document,
    Fingerprint,
    Head,
    Original,
    Problem,
    Snapshot,
    Stored,
    Webhooks,
)

if TYPE_CHECKING:  # modules that a plan does not need
    from reconciler.core.account import Account
    from reconciler.core.attempts import Attempt
    from reconciler.core.observe import EventComparison
    from reconciler.core.protocol.labels import Label, LabelSetting
    from reconciler.core.protocol.markers import Marker
    from reconciler.core.protocol.schedule import ApplyRun
    from reconciler.core.protocol.strict import LastChange
    from reconciler.core.protocol.telling import RunJob
    from reconciler.core.receivers import Answer, Place, ProbeResult, Receiver


@dataclass(frozen=True, slots=True)
class Write:
    """Store `document` (None: delete it) if the stored version is `expected` (None: nothing is stored).

    `original` has the document's bytes in the store that it is copied from; None: the document is encoded.
    """

    environment: str
    document: Document | None
    expected: str | None
    original: bytes | None = None


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The result of one `Write`: durable under `version`, or not done because of `error`.

    `error` is a `Conflict` where another version is stored. After any other error the write may or may not have been
    stored; the caller must not act as if it had.
    """

    environment: str
    version: str | None
    error: StateError | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """The difference between a snapshot of a store and the one that was made now.

    `heads` are those of new and changed documents, `gone` the names of documents that are not stored any more, and
    `faults` says why a new or changed document can't be read.
    """

    snapshot: Snapshot
    heads: Mapping[str, Head] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    faults: Mapping[str, StateError] = field(default_factory=dict)


class StateStore(Protocol):
    """The memory of what was applied (CONTRACT §7). Blocking: callers run it off the event loop.

    Must: never show half a document; never overwrite a version other than the expected; return from
    `write` only once what it calls written survives a power cut. Reading must write nothing, and a store
    that doesn't exist yet is an empty state. Need not: keep an order between the writes of one batch.
    """

    @property
    def location(self) -> str:
        """The value of the `state` setting, for messages."""
        ...

    @property
    def identity(self) -> str:
        """A text that is the same for the same place however the setting writes it, and another for another place."""
        ...

    @property
    def gather_s(self) -> float:
        """The seconds that a write may wait for others to join it, where each costs a round trip; 0: not at all."""
        ...

    def find_near(self) -> str | None:
        """Return another branch or folder whose name is close to this store's, as a slip may have made this one.

        Called for a state that holds nothing. Must: return None where there is none, or where the lookup fails.
        """
        ...

    def names(self) -> frozenset[str]:
        """The names of all documents, also of one that is not a valid environment name. Raises Unreachable."""
        ...

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        """The documents of those environments that have one.

        Raises Corrupt or NewerFormat for a bad document among those asked for (and for no other), SeveralUnreadable
        for more than one, Unreachable. A document that can't be read is never taken for a missing one.
        """
        ...

    def read_originals(self, environments: Iterable[str]) -> dict[str, Original]:
        """As `read`, with the bytes as they are stored, for a copy of them."""
        ...

    def read_changes(self, since: Snapshot | None = None) -> Changes:
        """The heads of all documents, or of those that changed since a snapshot that this object made.

        Must: show every document that another process had written when this object's last write was stored; find a
        fault wherever `read` raises for one document, in a history too; read only what changed. May: repeat a
        document, and repeat or leave out what this object wrote itself. Raises Unreachable.
        """
        ...

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Do each write as a compare-and-swap of its own; results are in the order given. Never raises StateError.

        Must: refuse a document that this version could not read again.
        """
        ...

    def close(self) -> None:
        """Release what the store uses: a temporary folder, a connection."""
        ...


class Plug(Protocol):
    """The update call. `put` makes one attempt, and never raises for an error of the network or the server."""

    async def put(self, desired: Desired) -> Attempt: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """One attempt to read an account. `comparisons` is None where it failed: `attempt.message` says why."""

    attempt: Attempt
    comparisons: tuple[EventComparison, ...] | None = None


class Observer(Protocol):
    """The partner API's read (FACTS P).

    `read` makes one attempt, and never raises for an error of the network or the server. It compares what the account
    shows with `applied` (None: never applied) itself, as only it may see the secrets in the URLs. Its result holds no
    secret, also none that was in a URL of `past` (as of `find_past`). The environment has an account_id. Must: send
    the partner token to the configured host alone.
    """

    async def read(self, desired: Desired, applied: Applied | None, past: Sequence[Webhooks] = ()) -> Reading: ...


@dataclass(frozen=True, slots=True)
class AccountReading:
    """One attempt to read an account as it is. `account` is None where it failed: `attempt.message` says why."""

    attempt: Attempt
    account: Account | None = None


class AccountReader(Protocol):
    """The partner API's read (FACTS P) without a comparison, for `import`: its result holds the URLs' secrets.

    `read_account` makes one attempt, and never raises for an error of the network or the server. Must: send the
    partner token to the configured host alone.
    """

    async def read_account(self, account_id: str, base_url: str) -> AccountReading: ...


class Fingerprinter(Protocol):
    """The available tokens and secrets, seen only as fingerprints."""

    def fingerprint(self, desired: Desired) -> Fingerprint: ...


class CredentialChecks(Fingerprinter, Protocol):
    """The checks of the available tokens and secrets before a run. No value is ever returned.

    Must: read nothing but what it was made from; repeat no part of a value in a message.
    """

    def account(self, desired: Desired) -> str | None:
        """The token's account as the state names it (CONTRACT §7); None without a token."""
        ...

    def organization(self, desired: Desired) -> str | None:
        """The company that the token names, which is a hint and not a proof; None without a token or a company."""
        ...

    def find_malformed_tokens(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        """Values that can't be tokens."""
        ...

    def find_missing(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        """The reasons why environments can't be PUT: no token, no secret, or a filled-in URL that is not valid."""
        ...

    def find_shared_accounts(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        """Environments whose tokens are equal or of one organization."""
        ...

    def find_expired(self, desired: Iterable[Desired], now: datetime) -> Sequence[str]:
        """A warning for each token that, by its own claim, is not valid any more at `now`."""
        ...

    def find_partner_problems(
        self, observed: Sequence[Desired], token_env: str, allowed_hosts: Collection[str]
    ) -> Sequence[Problem]:
        """The reasons why the accounts of `observed` can't be read with the partner token in `token_env`."""
        ...


class Receivers(Protocol):
    """The servers behind the webhooks (CONTRACT §8). Nothing here raises for an error of the network or a server.

    Must: connect to no address that `choose_addresses` leaves out, and in a `post` to none but the probe's; never
    follow a redirect; end within the timeout; put nothing of an answer, and no filled-in URL, into a message.
    """

    async def probe(self, place: Place) -> ProbeResult:
        """Resolve the name, connect, and do the TLS handshake of an https URL; send nothing more."""
        ...

    async def post(self, receiver: Receiver, probe: ProbeResult, body: bytes) -> Answer:
        """POST `body` once, to the address of a probe that is ok. May use a connection of an earlier POST."""
        ...

    async def leave(self, place: Place) -> None:
        """Close the connections to a place: no further POST goes there."""
        ...


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as GitHub shows it; None for what GitHub does not say."""

    number: int | None
    head_sha: str | None  # its last commit
    is_open: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """A comment or issue. `done` is created, updated, unchanged, superseded or closed; `url` is its page."""

    done: str
    url: str


@dataclass(frozen=True, slots=True)
class Issue:
    """The content of an issue. `closing` is the last comment when it is closed."""

    title: str
    text: str
    closing: str


class Hub(Protocol):
    """The repository on GitHub in whose workflow this process runs. Every method raises PostFailed.

    Must: look for the result of an earlier try before it writes, so that each call can be repeated; accept as ours
    only what the workflows' own author wrote; send the token to GitHub alone.
    """

    @property
    def run_url(self) -> str: ...

    @property
    def pull_request(self) -> PullRequest | None:
        """The pull request of the event that started the run."""
        ...

    @property
    def may_only_read(self) -> bool:
        """Whether GitHub gives this run a token that may not write, whatever `permissions:` says."""
        ...

    def read_pull(self, number: int) -> PullRequest:
        """The pull request as it is now."""
        ...

    def find_label(self, number: int, label: Label) -> LabelSetting | None:
        """Who set a label that lifts a guard; None where the label is not on the pull request."""
        ...

    def put_comment(self, number: int, marker: Marker, text: str) -> Posted:
        """Create or update the one comment of the marker's name on a pull request, but none of a later run."""
        ...


@dataclass(frozen=True, slots=True)
class MergedPull:
    """A pull request that was merged into the default branch. `merge_sha` is the commit that it was merged as."""

    number: int
    head_sha: str
    merge_sha: str


class ResultHub(Protocol):
    """What the last job of an apply run needs of GitHub. Every method raises PostFailed."""

    def list_jobs(self, attempt: int) -> Sequence[RunJob]:
        """The jobs of an attempt of this run."""
        ...

    def list_merged(self, since: datetime) -> Sequence[MergedPull]:
        """The pull requests that were merged into the default branch since then, the latest first."""
        ...

    def find_markers(self, name: str, since: datetime) -> Mapping[int, Marker]:
        """The markers of our comments of this name that were written since then, by pull request.

        May: leave some out where there are very many comments.
        """
        ...

    def count_commits(self, pull: MergedPull) -> int:
        """The number of commits that the merge added to the default branch's first-parent line.

        It is more than one where the pull request was merged by a rebase.
        """
        ...

    def put_comment(self, number: int, marker: Marker, text: str) -> Posted:
        """As of `Hub`."""
        ...


class ScheduleHub(Protocol):
    """What the schedule needs of GitHub. Every method raises PostFailed."""

    def list_apply_runs(self, head: str) -> Sequence[ApplyRun]:
        """The apply runs on the default branch that are under way, that were begun for `head`, or that ended last.

        Must: find a run that moves on while this is read.
        """
        ...

    def keep_issue(self, name: str, issue: Issue, *, label: str, is_open: bool) -> Posted | None:
        """Open, update or close the one issue of this name. None: it is closed already."""
        ...

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Begin a run of another workflow."""
        ...


class Pulls(Protocol):
    """The merged pull requests of the repository on GitHub."""

    def list_pulls(self, sha: str) -> Sequence[MergedPull]:
        """Return those that GitHub names for a commit. Raises PostFailed: no answer is never an empty one."""
        ...


class ReviewHistory(Protocol):
    """What the commits before a run's wanted of each environment, resolved with the settings of the run's commit.

    Every method raises InputError where git can't read or fetch what it needs.
    """

    @property
    def commits(self) -> Sequence[str]:
        """The first-parent line of the run's commit, itself first, as far as it is looked at."""
        ...

    def find_last_changes(self, names: Collection[str]) -> Mapping[str, LastChange]:
        """Return for each environment the newest commit of the line that changed what it shall be."""
        ...

    def fetch_heads(self, pulls: Collection[MergedPull]) -> None:
        """Make the last commits of the pull requests available."""
        ...

    def compare(self, commit: str, names: Collection[str]) -> Mapping[str, bool | None]:
        """Return whether a commit wants the same of each environment as the run's. None: it can't be resolved."""
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
