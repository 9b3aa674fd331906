"""What a command is run with: the environment, the folder, and from them settings, manifests, credentials, store."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reconciler.core.planner import PlanInput, Planned
from reconciler.errors import InputError
from reconciler.io.collector import without_collector
from reconciler.model import Desired, Problem, Shard
from reconciler.ports import StateStore
from reconciler.run.planning import Observe, plan_environments

if TYPE_CHECKING:
    from reconciler.manifests.merged import Tree
    from reconciler.plug.credentials import Credentials
    from reconciler.plug.secret import Secret
    from reconciler.run.pace import Pace
    from reconciler.settings import Settings

MIN_SEARCHED_TOKEN = 8  # shorter ones stand in any text by chance
MIN_HIDDEN = 4  # to mask a URL too many costs little; of one character each would be


class SystemClock:
    """The machine's clocks and chance."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - spreads retries, guards nothing


def find_folder() -> Path:
    """The working directory. Raises InputError where it was deleted or unmounted under our feet."""
    try:
        return Path.cwd()
    except OSError as error:
        raise InputError(
            "the working directory is gone: go to your checkout again (cd), then run this again"
        ) from error


@dataclass
class Session:
    """One command's world. `base_url` replaces every base URL, those of manifests too: the demo's sandbox."""

    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))  # which decodes at every look
    folder: Path = field(default_factory=find_folder)
    flags: Mapping[str, Any] = field(default_factory=dict)
    base_url: str | None = None
    quiet: bool = False  # without the tree's warnings: the demo's commands would repeat them eight times
    clock: SystemClock = field(default_factory=SystemClock)

    @cached_property
    def settings(self) -> Settings:
        from reconciler.settings import load_settings

        return load_settings(self.environ, str(self.folder), self.flags)

    @cached_property
    def store(self) -> StateStore:
        from reconciler.state.open import open_store

        return open_store(self.settings.state, self.folder)

    def close(self) -> None:
        """Gives back what the store holds, where one was opened."""
        if "store" in self.__dict__:
            self.store.close()

    @cached_property
    def tokens_file(self) -> Mapping[str, Secret]:
        """The tokens of `tokens_file`. Raises InputError where it can't be read."""
        if self.settings.tokens_file is None:
            return {}
        from reconciler.plug.tokens_file import load_tokens_file

        shown = self.settings.tokens_file
        try:
            path = Path(shown).expanduser()
        except RuntimeError as error:
            message, hint = f"{shown} names nobody's home folder", "write the whole path"
            raise InputError.of("tokens_file", message, hint) from error
        return load_tokens_file(self.folder / path, shown)

    @cached_property
    def tokens_file_problems(self) -> tuple[Problem, ...]:
        """Why the tokens file can't be read: a warning where no token is needed."""
        try:
            _ = self.tokens_file
        except InputError as error:
            return error.problems
        return ()

    @cached_property
    def tree(self) -> Tree:
        """The manifests, whole, with their errors and warnings as data."""
        from reconciler.core.policy import Policy
        from reconciler.manifests.load import load_tree
        from reconciler.manifests.merged import TreeOptions

        settings = self.settings
        tokens_file = {} if self.tokens_file_problems else self.tokens_file
        allowed = settings.policy.allowed_hosts
        options = TreeOptions(
            base_url=settings.api.base_url,
            auth_scheme=settings.api.auth_scheme,
            allowed_hosts=settings.api.allowed_hosts,
            allow_local_receivers=settings.allow_local_receivers,
            secret_prefix=settings.secret_prefix,
            token_prefix=settings.token_prefix,
            policy=Policy(
                allowed=() if allowed is None else (tuple(allowed),), denied=tuple(settings.policy.denied_hosts)
            ),
            partner_base_url=settings.partner.base_url,
            known_tokens=self._known_tokens(tokens_file),
            tokens_file_environments=frozenset(tokens_file),
            tokens_file_unread=bool(self.tokens_file_problems),
            base_url_override=self.base_url,
        )
        if self.folder == Path.cwd():
            return load_tree(settings.manifests, options)
        return load_tree(str(self.folder / settings.manifests), options)

    def _known_tokens(self, tokens_file: Mapping[str, Secret]) -> tuple[str, ...]:
        """Values that must stand in no manifest: of the token variables, the partner's, the tokens file's."""
        prefix, partner = self.settings.token_prefix, self.settings.partner.token_env
        found = {value for name, value in self.environ.items() if name.startswith(prefix) or name == partner}
        found |= {token.reveal() for token in tokens_file.values()}
        return tuple(sorted(value for value in found if len(value) >= MIN_SEARCHED_TOKEN))

    @cached_property
    def desired(self) -> Sequence[Desired]:
        """All environments. Raises InputError with every fault of every file."""
        if self.tree.errors:
            raise InputError(problems=self.tree.errors)
        return self.tree.desired

    @cached_property
    def credentials(self) -> Credentials:
        from reconciler.plug.credentials import Credentials

        tokens_file = {} if self.tokens_file_problems else self.tokens_file
        return Credentials(self.environ, tokens_file, allow_local_receivers=self.settings.allow_local_receivers)

    @cached_property
    def secrets_at_hand(self) -> Sequence[Secret]:
        """Every token and secret at hand, of whatever environment: what must show in no URL that Plug holds."""
        from reconciler.plug.secret import Secret

        prefixes = (self.settings.token_prefix, self.settings.secret_prefix)
        found = {value for name, value in self.environ.items() if name.startswith(prefixes)}
        found.add(self.environ.get(self.settings.partner.token_env, ""))
        tokens_file = {} if self.tokens_file_problems else self.tokens_file
        found |= {token.reveal() for token in tokens_file.values()}
        return tuple(Secret(value) for value in sorted(found) if len(value) >= MIN_HIDDEN)

    @cached_property
    def pace(self) -> Pace:
        """The one rate limit of everything that this command sends to Plug."""
        from reconciler.run.pace import Pace

        return Pace(self.clock, self.settings.rate_limit, longest_pause_s=self.settings.deadline)

    def plan(
        self,
        globs: Sequence[str],
        *,
        requested: bool,
        shard: Shard | None = None,
        now: datetime | None = None,
        observe: Observe | None = None,
        whole: bool = False,
    ) -> Planned:
        """The plan of the selected environments, at `now` or the moment; `observe` and `whole` as `plan_environments`.

        Raises InputError (manifests, settings, a malformed token, the partner's), StateError.
        """
        desired = self.desired
        given = PlanInput(
            now=now or self.clock.now().replace(microsecond=0),
            max_age_s=self.settings.max_age,
            requested=requested,
        )
        told = () if self.quiet else (*self.tree.warnings, *self.tokens_file_problems)
        warnings = tuple(str(problem) for problem in told)
        # what a plan makes is kept or freed by counting; reading accounts, in between, makes cycles
        with without_collector() if observe is None else nullcontext():
            planned = plan_environments(
                desired,
                self.store,
                self.credentials,
                given,
                globs=globs,
                shard=shard,
                warnings=warnings,
                observe=observe,
                whole=whole,
            )
        malformed = self.credentials.find_malformed_tokens(planned.desired.values())
        if malformed:
            raise InputError(problems=malformed)
        return planned


def session_of(context: Any, parameters: Mapping[str, Any]) -> Session:
    """The command's session: the caller's where there is one, with the flags that were given."""
    from reconciler.cli.setting_parameters import take_settings_flags

    flags = take_settings_flags(parameters)
    given: Session | None = context.find_object(Session)
    session = Session(flags=flags) if given is None else replace(given, flags={**given.flags, **flags})
    context.call_on_close(session.close)
    return session
