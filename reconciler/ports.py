"""The interfaces that `run/` needs of the outside world. Each docstring is the specification of its implementers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.errors import StateError
from reconciler.model import (
    Applied,
    BranchRules,
    Desired,
    Document,
    Fingerprint,
    Head,
    Original,
    Problem,
    ShownEnvironment,
    Snapshot,
    Stored,
    Webhooks,
)

if TYPE_CHECKING:  # modules that a plan does not need
    from reconciler.core.attempts import Attempt
    from reconciler.core.observe import EventComparison
    from reconciler.core.partner_account import Account
    from reconciler.core.receivers import Answer, Place, ProbeResult, Receiver
    from reconciler.core.workflow.endings import RunJob
    from reconciler.core.workflow.labels import Label, LabelSetting
    from reconciler.core.workflow.markers import Marker
    from reconciler.core.workflow.schedule import ApplyRun
    from reconciler.core.workflow.strict import LastChange


class Write(Struct, frozen=True):
    """Store `document` (None: delete it) if the stored version is `expected` (None: nothing is stored).

    `original` has the document's bytes in the store that it is copied from; None: the document is encoded.
    """

    environment: str
    document: Document | None
    expected: str | None
    original: bytes | None = None


class WriteResult(Struct, frozen=True):
    """The result of one `Write`: it is durable under `version`, or it failed with `error`.

    `error` is a `Conflict` if another version is stored. After any other error the write may or may not have been
    stored; the caller must not act as if it was.

    `landed` is about a write with an `error`, and is set by `run/landed.py`: True if the store holds the write under
    `version`, though a power cut may undo it; None if the store can't be read.
    """

    environment: str
    version: str | None
    error: StateError | None = None
    landed: bool | None = False


class Changes(Struct, frozen=True):
    """The difference between an earlier snapshot of a store and `snapshot`, which is made now.

    `heads` has the heads of new and changed documents. `gone` has the names of documents that are no longer stored.
    `faults` says why a new or changed document can't be read.
    """

    snapshot: Snapshot
    heads: Mapping[str, Head] = field(default_factory=dict)
    gone: frozenset[str] = frozenset()
    faults: Mapping[str, StateError] = field(default_factory=dict)

    def shrunk(self, shrink: Shrink) -> Changes:
        """Return the same with what `shrink` makes of each head."""
        return replace(self, heads={name: shrink(head) for name, head in self.heads.items()})


# returns an equal head that takes less memory; called for each head before the next one is read, if a store can
Shrink: TypeAlias = Callable[[Head], Head]


def keep_head(head: Head) -> Head:
    """Return the head as it is."""
    return head


class WriteAccess(Struct, frozen=True):
    """Whether a store can be written, as far as this is known without a write. `allowed` is None if it is not known.

    `message` says how this was found out, or why the store can't be written. `hint` says what to do.
    """

    allowed: bool | None
    message: str
    hint: str = ""


class StateStore(Protocol):
    """The memory of what was applied (docs/state.md). Blocking: callers run it off the event loop.

    Must: never return half a document; never overwrite a version other than the expected one; return from `write`
    only once each write that it reports as done survives a power cut; write nothing when it reads; treat a store that
    doesn't exist yet as an empty state. Need not: keep an order between the writes of one batch.
    """

    @property
    def location(self) -> str:
        """The value of the `state` setting, for messages."""
        ...

    @property
    def identity(self) -> str:
        """A text that identifies the store: the same for every spelling of the setting that leads to it."""
        ...

    @property
    def gather_s(self) -> float:
        """The seconds that a write may wait for others to join its batch, to save round trips; 0 for no wait."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether a read mostly waits for a network, so that it may begin before its result is needed."""
        ...

    def find_near(self) -> str | None:
        """Return another branch or folder whose name is close to this store's: the setting may have a typing error.

        Called for an empty state. Must: return None if nothing is close, or if the lookup fails.
        """
        ...

    def names(self) -> frozenset[str]:
        """Return the names of all documents, valid environment names or not. Raises Unreachable."""
        ...

    def read(self, environments: Iterable[str]) -> dict[str, Stored]:
        """Return the documents of those environments that have one.

        Raises Corrupt or NewerFormat for a document that can't be read, SeveralUnreadable for more than one of them,
        Unreachable. Only the documents asked for count. One that can't be read never counts as a missing one.
        """
        ...

    def read_originals(self, environments: Iterable[str]) -> dict[str, Original]:
        """Return the same as `read`, with the bytes as they are stored, for a copy of the documents."""
        ...

    def read_changes(self, since: Snapshot | None = None, shrink: Shrink = keep_head) -> Changes:
        """Return the heads of all documents, or of those that changed since a snapshot that this object made.

        Must: return every document that another process had written when this object's last write was stored; report
        a fault for each document for which `read` would raise, for its history too; read only what changed; return
        for each head what `shrink` makes of it. May: repeat a document, and repeat or leave out what this object wrote
        itself. Raises Unreachable.
        """
        ...

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Do each write as a separate compare-and-swap. The results are in the order given. Never raises StateError.

        Must: refuse a document that this version could not read again.
        """
        ...

    def find_write_access(self) -> WriteAccess:
        """Find out whether the store can be written. Must: write nothing. Raises Unreachable."""
        ...

    def close(self) -> None:
        """Release what the store uses: a temporary folder, a connection."""
        ...


class Plug(Protocol):
    """The update call. `put` makes one attempt, and never raises for an error of the network or the server."""

    async def put(self, desired: Desired) -> Attempt: ...


class Reading(Struct, frozen=True):
    """One attempt to read an account. `comparisons` is None if it failed: `attempt.message` says why."""

    attempt: Attempt
    comparisons: tuple[EventComparison, ...] | None = None


class Observer(Protocol):
    """The partner API's read (docs/plug-api.md#the-partner-api).

    `read` makes one attempt, and never raises for an error of the network or the server. It also compares the account
    with `applied` (None: never applied), as only it may see the secrets in the URLs. `past` has the webhooks that
    `find_past` returns. The result contains no secret, not even one from a URL of `past`. The environment has an
    account_id. Must: send the partner token to the configured host alone.
    """

    async def read(self, desired: Desired, applied: Applied | None, past: Sequence[Webhooks] = ()) -> Reading: ...


class AccountReading(Struct, frozen=True):
    """One attempt to read an account for `import`. `account` is None if it failed: `attempt.message` says why."""

    attempt: Attempt
    account: Account | None = None


class AccountReader(Protocol):
    """The partner API's read without a comparison, for `import`: its result contains the URLs' secrets.

    See docs/plug-api.md#the-partner-api.

    `read_account` makes one attempt, and never raises for an error of the network or the server. Must: send the
    partner token to the configured host alone.
    """

    async def read_account(self, account_id: str, base_url: str) -> AccountReading: ...


class Fingerprinter(Protocol):
    """The available tokens and secrets, seen only as fingerprints."""

    def fingerprint(self, desired: Desired) -> Fingerprint: ...


class CredentialChecks(Fingerprinter, Protocol):
    """The checks of the available tokens and secrets before a run. No value is ever returned.

    Must: read nothing beyond what its constructor got; repeat no part of a value in a message.
    """

    def account(self, desired: Desired) -> str | None:
        """Return the token's account as the state names it (docs/state.md); None without a token."""
        ...

    def organization(self, desired: Desired) -> str | None:
        """Return the company that the token names: a hint, not a proof. None without a token or a company."""
        ...

    def find_malformed_tokens(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        """Return a problem for each value that can't be a token."""
        ...

    def find_missing(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        """Return why environments can't be PUT: no token, no secret, or a filled-in URL that is not valid."""
        ...

    def find_shared_accounts(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        """Return a problem for the environments whose tokens are equal or of one organization."""
        ...

    def find_expired(self, desired: Iterable[Desired], now: datetime) -> Sequence[str]:
        """Return a warning for each token that, by its own claim, is no longer valid at `now`."""
        ...

    def find_partner_problems(
        self, observed: Sequence[Desired], token_env: str, allowed_hosts: Collection[str]
    ) -> Sequence[Problem]:
        """Return the reasons why the accounts of `observed` can't be read with the partner token in `token_env`."""
        ...


class CredentialReport(CredentialChecks, Protocol):
    """The tokens and secrets as `doctor` reports them: which are available, never a value."""

    def token_origin(self, desired: Desired) -> str:
        """Return the origin of an available token: the name of its variable, or the tokens file."""
        ...

    def has_secret(self, name: str, environment: str) -> bool: ...

    def has_partner_token(self, token_env: str) -> bool: ...

    def find_missing_secrets(self, desired: Iterable[Desired]) -> Sequence[Problem]:
        """Return the problems of `find_missing` that are not about a token."""
        ...


class Receivers(Protocol):
    """The servers behind the webhooks. Nothing here raises for an error of the network or a server.

    See docs/contract.md#drift.

    Must: connect only to addresses that `choose_addresses` returns, and in a `post` only to the probe's; never follow
    a redirect; end within the timeout; put no part of an answer, and no filled-in URL, into a message.
    """

    async def probe(self, place: Place) -> ProbeResult:
        """Resolve the name, connect, and do the TLS handshake of an https URL; send nothing more."""
        ...

    async def post(self, receiver: Receiver, probe: ProbeResult, body: bytes) -> Answer:
        """POST `body` once, to the address of a probe that is ok. May use a connection of an earlier POST."""
        ...

    async def leave(self, place: Place) -> None:
        """Close the connections to a place, to which no further POST goes."""
        ...


class PullRequest(Struct, frozen=True):
    """A pull request as GitHub shows it. A value that GitHub does not give is None."""

    number: int | None
    head_sha: str | None  # its last commit
    is_open: bool = False


class PostEffect(StrEnum):
    """The effects of keeping a comment or an issue up to date."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    SUPERSEDED = "superseded"  # not changed, because a later run or attempt wrote it
    CLOSED = "closed"


class Posted(Struct, frozen=True):
    """A comment or issue, with what was done to it. `url` is its page."""

    done: PostEffect
    url: str


class Issue(Struct, frozen=True):
    """The content of an issue. `closing` is the comment that is written when it is closed."""

    title: str
    text: str
    closing: str


class Hub(Protocol):
    """The repository on GitHub in whose workflow this process runs. Every method raises PostFailed.

    Must: look for the result of an earlier try before it writes, so that each call can be repeated; use only comments
    and issues that the workflows' own author wrote; send the token to GitHub alone.
    """

    @property
    def run_url(self) -> str: ...

    @property
    def pull_request(self) -> PullRequest | None:
        """The pull request of the event that started the run."""
        ...

    @property
    def may_only_read(self) -> bool:
        """Return whether GitHub gives this run a token that may not write, whatever `permissions:` says."""
        ...

    def read_pull(self, number: int) -> PullRequest:
        """Return the pull request as it is now."""
        ...

    def find_label(self, number: int, label: Label) -> LabelSetting | None:
        """Return who set a label that lifts a guard; None if the label is not on the pull request."""
        ...

    def put_comment(self, number: int, marker: Marker, text: str) -> Posted:
        """Create or update the comment of the marker's name on a pull request, unless a later run wrote it."""
        ...


class RepositoryReads(Protocol):
    """A repository on GitHub, for reading only. Every method raises NotPermitted and PostFailed.

    Must: send the token to GitHub alone; write nothing.
    """

    @property
    def repository(self) -> str:
        """OWNER/NAME."""
        ...

    def find_default_branch(self) -> str: ...

    def list_environments(self) -> Sequence[str]:
        """Return the names of the GitHub Environments. GitHub ignores their case."""
        ...

    def read_environment(self, name: str) -> ShownEnvironment: ...

    def list_environment_secrets(self, name: str) -> Collection[str]: ...

    def list_secrets(self) -> Collection[str]:
        """Return the names of the secrets that a job without a GitHub Environment gets, the organization's included."""
        ...

    def list_variables(self) -> Mapping[str, str]: ...

    def read_rules(self, branch: str) -> BranchRules:
        """Return the rules of all rulesets for a branch, which need not exist."""
        ...

    def read_protection(self, branch: str) -> BranchRules:
        """Return the rules of the branch's classic protection."""
        ...

    def find_commit_time(self, repository: str, commit: str) -> datetime | None:
        """Return when a commit of another repository was made; None if it does not exist."""
        ...


class MergedPull(Struct, frozen=True):
    """A pull request that was merged into the default branch as the commit `merge_sha`."""

    number: int
    head_sha: str
    merge_sha: str


class ResultHub(Protocol):
    """The part of GitHub that the last job of an apply run needs. Every method raises PostFailed."""

    def list_jobs(self, attempt: int) -> Sequence[RunJob]:
        """Return the jobs of an attempt of this run."""
        ...

    def list_merged(self, since: datetime) -> Sequence[MergedPull]:
        """Return the pull requests that were merged into the default branch since then, the latest first."""
        ...

    def find_markers(self, name: str, since: datetime) -> Mapping[int, Marker]:
        """Return the markers of the workflows' comments of this name that were written since then, by pull request.

        May: leave some out if there are very many comments.
        """
        ...

    def count_commits(self, pull: MergedPull) -> int:
        """Return the number of commits that the merge added to the default branch's first-parent line.

        It is more than one if the pull request was merged by a rebase.
        """
        ...

    def put_comment(self, number: int, marker: Marker, text: str) -> Posted:
        """Do the same as `Hub.put_comment`."""
        ...


class ScheduleHub(Protocol):
    """The part of GitHub that the schedule needs. Every method raises PostFailed."""

    def list_apply_runs(self, head: str) -> Sequence[ApplyRun]:
        """Return the apply runs on the default branch that have not ended, that began for `head`, or that ended last.

        Must: find a run whose status changes while the runs are read.
        """
        ...

    def keep_issue(self, name: str, issue: Issue, *, label: str, is_open: bool) -> Posted | None:
        """Open, update or close the one issue of this name. Return None if it is closed already."""
        ...

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start a run of another workflow."""
        ...


class Pulls(Protocol):
    """The merged pull requests of the repository on GitHub."""

    def list_pulls(self, sha: str) -> Sequence[MergedPull]:
        """Return those that GitHub names for a commit. Raises PostFailed: a missing answer never counts as empty."""
        ...


class ReviewHistory(Protocol):
    """The environments as earlier commits wanted them, resolved with the settings of the run's commit.

    Every method raises InputError if git can't read or fetch what it needs.
    """

    @property
    def commits(self) -> Sequence[str]:
        """The first-parent line of the run's commit, itself first, as far as it is searched."""
        ...

    def find_last_changes(self, names: Collection[str]) -> Mapping[str, LastChange]:
        """Return for each environment the newest commit of the line that changed what is wanted of it."""
        ...

    def fetch_heads(self, pulls: Collection[MergedPull]) -> None:
        """Make the last commits of the pull requests available."""
        ...

    def compare(self, commit: str, names: Collection[str]) -> Mapping[str, bool | None]:
        """Return whether a commit and the run's want the same of each environment; None if it can't be resolved."""
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the time of the wall clock: aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Return the seconds of a clock that never goes back."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def jitter(self) -> float:
        """Return a random number in [0, 1)."""
        ...
