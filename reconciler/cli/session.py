"""The objects that a command uses: settings, manifests, credentials and store. Each is made when it is first used."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from reconciler.errors import InputError, InvalidManifests
from reconciler.io.clock import SystemClock
from reconciler.io.collector import without_collector

# All else is imported where it is used: no command needs everything.
if TYPE_CHECKING:
    from reconciler.cli.log import StepLog
    from reconciler.core.guards import FirstApply
    from reconciler.core.planner import Planned
    from reconciler.io.early import EarlyCall
    from reconciler.manifests.history import ManifestHistory
    from reconciler.manifests.merged import Tree, TreeOptions
    from reconciler.model import By, Desired, Problem, SettingPlace
    from reconciler.plug.credentials import EnvironCredentials, SecretFiles, SecretNames
    from reconciler.plug.job_secrets import JobSecrets
    from reconciler.plug.partner import HttpObserver
    from reconciler.plug.secret import Secret
    from reconciler.plug.secret_files import SecretValues
    from reconciler.ports import Changes, StateStore
    from reconciler.run.context import Interim
    from reconciler.run.guards import GuardInput
    from reconciler.run.importing import AccountReads
    from reconciler.run.pace import Pace
    from reconciler.run.planning import Observe, PlanScope
    from reconciler.settings.fields import Settings
    from reconciler.settings.load import LoadedSettings


def find_folder() -> Path:
    """Return the working directory. Raises InputError if it was deleted or unmounted."""
    try:
        return Path.cwd()
    except OSError as error:
        raise InputError(
            "the working directory is gone: go to your checkout again (cd), then run this again"
        ) from error


class GivenFiles(Struct, frozen=True):
    """Tokens and secrets from a workflow's secrets, in place of the files of the settings. None: not given.

    A text that can't be read gives nothing, and a problem.
    """

    tokens: Mapping[str, Secret] | None = None
    secrets: SecretValues | None = None
    tokens_problems: tuple[Problem, ...] = ()
    secrets_problems: tuple[Problem, ...] = ()
    tokens_name: str = ""  # what messages call the tokens' source
    job: JobSecrets | None = None  # whose tokens and secrets they are

    def refuse_unreadable(self) -> None:
        """Raise InputError if a text can't be read."""
        problems = (*self.tokens_problems, *self.secrets_problems)
        if problems:
            raise InputError(problems=problems)

    def over(self, files: SecretFiles) -> SecretFiles:
        """Return the content of the files, with the given tokens or secrets in place of theirs."""
        if self.tokens is not None:
            files = replace(
                files, tokens=self.tokens, tokens_problems=self.tokens_problems, tokens_name=self.tokens_name
            )
        if self.secrets is not None:
            files = replace(files, secrets=self.secrets, secrets_problems=self.secrets_problems)
        return files


class Interrupts(Struct, frozen=True):
    """The effect of signals on an apply: the first one lets PUTs in flight finish.

    With `second_ends` a second signal ends the process at once. With `interim` the result so far is made, for a process
    that may be killed.
    """

    second_ends: bool = True
    interim: Interim | None = None


class Session(Struct, dict=True):
    """The objects of one command. `base_url` replaces every base URL, also those of manifests (for the demo).

    `given_files` are tokens and secrets that replace those in the files of the settings.
    """

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))  # os.environ decodes at each access
    folder: Path = field(default_factory=find_folder)
    flags: Mapping[str, Any] = field(default_factory=dict)
    base_url: str | None = None
    quiet: bool = False  # leaves out the manifests' warnings, which each command of the demo would repeat
    clock: SystemClock = field(default_factory=SystemClock)
    log: StepLog | None = None  # of -v
    interrupts: Interrupts = field(default_factory=Interrupts)
    given_files: GivenFiles | None = None
    early_read: EarlyCall[Changes] | None = None  # the read of the state that was begun and not used yet
    on_runner: bool = False  # of a step of a workflow: a folder for the state would be lost with the machine

    def start_log(self, count: int) -> None:
        """Show each step on stderr from now on. `count` is the number of `-v`."""
        from reconciler.cli.log import StepLog  # late: importing logging takes time

        self.log = self.log or StepLog(self.environ)
        self.log.start(count)

    def hide(self, *values: str) -> None:
        """Mask these values in the log of -v."""
        if self.log is not None:
            self.log.hide(values)

    @property
    def settings(self) -> Settings:
        return self._loaded.settings

    @cached_property
    def _loaded(self) -> LoadedSettings:
        from reconciler.settings.load import load_settings

        return load_settings(self.environ, str(self.folder), self.flags)

    def find_setting(self, path: str) -> SettingPlace | None:
        """Return where a setting was given; None if it has its default."""
        return self._loaded.find_place(path)

    @property
    def settings_file(self) -> str | None:
        """Return the settings file that was read; None without one."""
        return self._loaded.file

    @cached_property
    def store(self) -> StateStore:
        return self.find_store()()

    def find_store(self) -> Callable[[], StateStore]:
        """Return the function that opens the store of the setting `state`.

        Raises InputError for an invalid setting, and on a runner for a folder that is lost with it.
        """
        from reconciler.state.open import parse_state

        opened = parse_state(self.settings.state, self._loaded.state_folder, self.environ)
        if self.on_runner:
            from reconciler.core.workflow.runner_state import find_lost_state

            fault = find_lost_state(self.settings.state, self.environ)
            if fault is not None:
                raise InputError.of("state", *fault)
        return opened

    def begin_reading_state(self) -> None:
        """Begin to read a remote state for the next plan, while the manifests are read.

        A fault of the state is reported by the plan, so that those of the manifests come first, as without this call.
        """
        with suppress(InputError):
            if self.store.is_remote:
                from reconciler.io.early import EarlyCall

                self.early_read = EarlyCall(self.store.read_changes)

    def close(self) -> None:
        """Close the store, if one was opened, when no read that was begun needs it any more."""
        if "store" not in self.__dict__:
            return
        if self.early_read is None:
            self.store.close()
        else:
            self.early_read.when_done(self.store.close)

    # --- manifests and credentials -----------------------------------------------------------------

    @cached_property
    def secret_files(self) -> SecretFiles:
        """The tokens and secrets files, with their problems as data. Their values are masked from now on."""
        from reconciler.plug.credentials import find_hidden, read_secret_files

        given = self.given_files or GivenFiles()
        tokens_file = None if given.tokens is not None else self.settings.tokens_file
        secrets_file = None if given.secrets is not None else self.settings.secrets_file
        files = given.over(read_secret_files(tokens_file, secrets_file, self.folder))
        if self.log is not None:
            self.hide(*(value.reveal() for value in find_hidden(self.environ, files, self.secret_names)))
        return files

    @property
    def secret_names(self) -> SecretNames:
        from reconciler.plug.credentials import SecretNames

        settings = self.settings
        return SecretNames(settings.token_prefix, settings.secret_prefix, settings.partner.token_env)

    @cached_property
    def tree(self) -> Tree:
        """All manifests, with their errors and warnings as data."""
        return self.load_manifests()

    def load_manifests(self, keep: str | None = None) -> Tree:
        """Read all manifests, and keep the merged manifest of one environment."""
        from reconciler.manifests.load import load_tree

        manifests = self.settings.manifests
        if self.folder == Path.cwd():
            return load_tree(manifests, self.tree_options, keep=keep)
        return load_tree(str(self.folder / manifests), self.tree_options, keep=keep)

    @property
    def tree_options(self) -> TreeOptions:
        """Return what the settings, and the available tokens and secrets, say about manifests."""
        from reconciler.core.policy import Policy
        from reconciler.manifests.merged import TreeOptions
        from reconciler.plug.credentials import find_hidden, find_known_tokens

        settings, files = self.settings, self.secret_files
        allowed = settings.policy.allowed_hosts
        return TreeOptions(
            base_url=settings.api.base_url,
            auth_scheme=settings.api.auth_scheme,
            body=settings.api.body,
            allowed_hosts=settings.api.allowed_hosts,
            allow_local_receivers=settings.allow_local_receivers,
            secret_prefix=settings.secret_prefix,
            token_prefix=settings.token_prefix,
            policy=Policy(
                allowed=() if allowed is None else (tuple(allowed),), denied=tuple(settings.policy.denied_hosts)
            ),
            partner_base_url=settings.partner.base_url,
            known_tokens=find_known_tokens(self.environ, files, self.secret_names),
            known_secrets=tuple(one.reveal() for one in find_hidden(self.environ, files, self.secret_names)),
            own_secrets={
                environment: frozenset(name for name in own if not self.environ.get(name))
                for environment, own in files.secrets.own.items()
            },
            tokens_file_environments=frozenset(files.tokens),
            tokens_file_unread=bool(files.tokens_problems),
            base_url_override=self.base_url,
        )

    def find_commit(self) -> str:
        """Return the commit that is checked out. Raises InputError without one."""
        from reconciler.io.git.checkout import Checkout
        from reconciler.io.git.command import GitError

        try:
            head = Checkout(self.folder, self.environ).find_head()
        except GitError as error:
            raise InputError(f"the checkout can't be read: {error}") from error
        if head is None:
            raise InputError("the checkout has no commit")
        return head

    @contextmanager
    def open_history(self, commit: str) -> Iterator[ManifestHistory]:
        """Yield what other commits want, with the settings of this run, whose commit is given.

        Raises InputError if the manifests are not in a git repository.
        """
        from reconciler.io.git.checkout import find_top
        from reconciler.io.git.history import GitHistory
        from reconciler.manifests.history import ManifestHistory

        place, top = Path(os.path.realpath(self.folder / self.settings.manifests)), find_top(self.folder, self.environ)
        if top is None or not place.is_relative_to(top):
            raise InputError.of("manifests", f"{self.settings.manifests} is not in a git repository around this folder")
        git = GitHistory(self.folder, self.environ)
        try:
            root = place.relative_to(top).as_posix()
            yield ManifestHistory(git, "" if root == "." else root, self.tree_options, commit)
        finally:
            git.close()

    @contextmanager
    def open_reviewed_history(self, commit: str, names: Collection[str]) -> Iterator[ManifestHistory]:
        """Yield the history of the checked-out files, to look up the reviews of these environments.

        Reviews are looked up by commits, and manifests are read from files. Raises InputError if the two differ:
        `.gitattributes` can have git write other bytes than a commit has, and a link can lead to other manifests.
        """
        from reconciler.run.strict import find_altered
        from reconciler.views.unreviewed import explain_altered

        self.refuse_linked_manifests()
        with self.open_history(commit) as history:
            altered = find_altered(self.desired, names, history.find_wants(commit, names))
            if altered:
                raise InputError(problems=[explain_altered(altered, commit)])
            yield history

    def refuse_linked_settings(self) -> None:
        """Raise InputError if the settings file is a symbolic link.

        A commit holds only the link, so a change of its target can't be compared with an earlier commit.
        """
        for file in self._loaded.files:
            if file.is_symlink():
                message = f"{file.name} is a symbolic link, so a change of the settings can't be reviewed"
                raise InputError.of("settings", message, "replace the link by the file itself")

    def refuse_linked_manifests(self) -> None:
        """Raise InputError if the folder of the manifests is reached through a symbolic link, for the same reason."""
        above = Path(os.path.realpath(self.folder))
        named = Path(os.path.normpath(above / self.settings.manifests))
        if named != Path(os.path.realpath(named)):
            message = f"{self.settings.manifests} is reached through a symbolic link, so no review of it can be found"
            raise InputError.of("manifests", message, "make it a folder, or name the folder itself")

    @cached_property
    def desired(self) -> Sequence[Desired]:
        """All environments. Raises InputError with every fault of every file."""
        if self.tree.errors:
            raise InvalidManifests(problems=self.tree.errors)
        return self.tree.desired

    @cached_property
    def credentials(self) -> EnvironCredentials:
        from reconciler.plug.credentials import EnvironCredentials

        files, local = self.secret_files, self.settings.allow_local_receivers
        return EnvironCredentials(
            self.environ,
            files.tokens,
            files.secrets,
            allow_local_receivers=local,
            tokens_name=files.tokens_name,
            job=None if self.given_files is None else self.given_files.job,
        )

    def find_by(self) -> By:
        """Return the user, the run, and the commit of the manifests."""
        from reconciler.io.git.actor import find_by

        return find_by(self.environ, self.folder / self.settings.manifests, self._loaded.files)

    # --- use cases ---------------------------------------------------------------------------------

    @cached_property
    def pace(self) -> Pace:
        """The rate limit that all requests of this command to Plug share."""
        from reconciler.run.pace import Pace

        return Pace(self.clock, self.settings.rate_limit, longest_pause_s=self.settings.deadline)

    def plan(self, scope: PlanScope, *, requested: bool = False) -> Planned:
        """Return the plan of the scope. Raises what `plan_to_apply` raises, and InputError for a malformed token."""
        from reconciler.run.planning import refuse_malformed_tokens

        planned = self.plan_to_apply(scope, requested=requested)
        refuse_malformed_tokens(planned, self.credentials)
        return planned

    def plan_to_apply(self, scope: PlanScope, *, requested: bool = False, now: datetime | None = None) -> Planned:
        """Return the plan of the scope, at `now` or the present, with the warnings of the manifests.

        Tokens are not checked, because `apply` reports a malformed one together with all other problems. Raises
        InputError (manifests, settings, the partner's token), StateError.
        """
        from reconciler.cli.progress import watch_state
        from reconciler.core.planner import PlanInput
        from reconciler.run.planning import plan_environments

        desired = self.desired
        early, self.early_read = self.early_read, None  # a later plan reads the state again
        given = PlanInput(
            now=now or self.clock.now().replace(microsecond=0),
            max_age_s=self.settings.max_age,
            requested=requested,
        )
        shown = () if self.quiet else (*self.secret_files.problems, *self.tree.warnings)
        warnings = tuple(str(problem) for problem in shown)
        # the reads of accounts make reference cycles, so the collector stays on for them
        with watch_state("reading the state"), without_collector() if scope.observe is None else nullcontext():
            planned = plan_environments(
                desired,
                self.store,
                self.credentials,
                given,
                scope,
                location=self.settings.state,
                read_changes=None if early is None else lambda shrink: early.result().shrunk(shrink),
            )
        return replace(planned, plan=replace(planned.plan, warnings=(*planned.plan.warnings, *warnings)))

    def guards(self, accepted: Sequence[str] = (), first: FirstApply | None = None) -> GuardInput:
        """Return the guards' input. `accepted` are the environments of --accept-account-change."""
        from reconciler.core.guards import FirstApply
        from reconciler.run.guards import GuardInput

        limit = self.settings.max_changed
        return GuardInput(self.desired, self.credentials, limit, accepted, first or FirstApply())

    def live_reads(self, *, wanted: bool) -> Observe | None:
        """Return the reads of --observe for a plan; None if they are not wanted."""
        if not wanted:
            return None
        from reconciler.cli.output import say
        from reconciler.cli.progress import report_read
        from reconciler.io.http.proxy import check_proxies
        from reconciler.run.live import LiveReads
        from reconciler.run.observe import ObserveOptions
        from reconciler.text.counts import environments

        settings = self.settings
        observed = [one.partner_base_url for one in self.desired if one.account_id is not None]
        check_proxies(filter(None, observed), self.environ)
        return LiveReads(
            credentials=self.credentials,
            partner_token_env=settings.partner.token_env,
            allowed_hosts=settings.api.allowed_hosts,
            open_observer=self.make_observer,
            clock=self.clock,
            options=ObserveOptions(settings.concurrency, settings.attempts, settings.deadline, report_read),
            pace=self.pace,
            announce=lambda count: None if self.quiet else say(f"observing {environments(count)}"),
        )

    def account_reads(self, accounts: int) -> AccountReads:
        """Return the reads of accounts for `import`. Raises InputError if the partner token can't be used."""
        from reconciler.io.http.proxy import check_proxies
        from reconciler.io.progress import report_done
        from reconciler.model import Fault
        from reconciler.run.importing import AccountReads
        from reconciler.run.observe import ObserveOptions
        from reconciler.text.counts import counted

        settings = self.settings
        base_url = self.base_url or settings.partner.base_url
        purpose = Fault(f"import reads {counted(accounts, 'account')} with it", "give the webhooks in the CSV")
        problems = self.credentials.find_partner_faults(
            settings.partner.token_env, [base_url], settings.api.allowed_hosts, purpose
        )
        if problems:
            raise InputError(problems=problems)
        check_proxies([base_url], self.environ)
        options = ObserveOptions(settings.concurrency, settings.attempts, settings.deadline, report_done)
        return AccountReads(self.make_observer, base_url, self.clock, options, self.pace)

    def make_observer(self) -> HttpObserver:
        """Return the observer over the partner API, for `async with`. The caller has checked the partner token."""
        from reconciler.plug.credentials import find_hidden
        from reconciler.plug.partner import HttpObserver
        from reconciler.plug.secret import Secret

        token_env = self.settings.partner.token_env
        return HttpObserver(
            self.credentials,
            self.credentials.partner_token(token_env) or Secret(""),
            token_env,
            hidden=find_hidden(self.environ, self.secret_files, self.secret_names),
            timeout_s=self.settings.timeout,
            environ=self.environ,
        )
