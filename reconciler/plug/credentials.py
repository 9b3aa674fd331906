"""The available tokens and secrets, and the checks of them before anything is sent.

See docs/settings.md, docs/contract.md#checks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, field

from reconciler.core.fill import fill_secrets
from reconciler.core.spelling import MIN_SEARCHED
from reconciler.core.urls import (
    find_base_url_fault,
    find_filled_fault,
    find_secret_change,
    find_secret_fault,
    find_secret_places,
)
from reconciler.core.variables import is_token_variable
from reconciler.errors import InputError
from reconciler.model import EVENTS, Desired, Event, Fault, Fingerprint, Problem
from reconciler.plug.job_secrets import JobSecrets
from reconciler.plug.secret import Secret
from reconciler.plug.secret_files import SecretValues, load_secrets_file, load_tokens_file
from reconciler.plug.token import TokenFacts, find_token_fault, read_token
from reconciler.text.counts import name_some
from reconciler.text.instants import instant

T = TypeVar("T")

TOKENS_FILE = "the tokens file"  # what messages call the source of the tokens
MIN_HIDDEN = 4  # characters; to mask a URL too many costs little, but a single character is in every text


class SecretFiles(Struct, frozen=True):
    """The content of the files that `tokens_file` and `secrets_file` name, and why one of them can't be read."""

    tokens: Mapping[str, Secret] = field(default_factory=dict)  # by environment
    secrets: SecretValues = field(default_factory=SecretValues)
    tokens_problems: tuple[Problem, ...] = ()
    secrets_problems: tuple[Problem, ...] = ()
    tokens_name: str = TOKENS_FILE

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*self.tokens_problems, *self.secrets_problems)


def read_secret_files(tokens_file: str | None, secrets_file: str | None, folder: Path) -> SecretFiles:
    """Read the files that the settings name, relative paths taken from `folder`. A file that isn't set is empty."""
    tokens, tokens_problems = _read_file("tokens_file", tokens_file, folder, load_tokens_file)
    secrets, secrets_problems = _read_file("secrets_file", secrets_file, folder, load_secrets_file)
    return SecretFiles(tokens or {}, secrets or SecretValues(), tokens_problems, secrets_problems)


def _read_file(
    key: str, setting: str | None, folder: Path, load: Callable[[Path, str], T]
) -> tuple[T | None, tuple[Problem, ...]]:
    if setting is None:
        return None, ()
    try:
        path = Path(setting).expanduser()
    except RuntimeError:
        return None, (
            Problem.of(key, f"{setting} begins with the home folder of an unknown user", "write the whole path"),
        )
    try:
        return load(folder / path, setting), ()
    except InputError as error:
        return None, error.problems


class SecretNames(Struct, frozen=True):
    """The settings that say which variables hold a token or a secret."""

    token_prefix: str
    secret_prefix: str
    partner_token_env: str


def find_known_tokens(environ: Mapping[str, str], files: SecretFiles, names: SecretNames) -> tuple[str, ...]:
    """Return the values that no manifest may hold: of token variables, the partner token and the tokens file."""
    prefix, partner = names.token_prefix, names.partner_token_env
    found = {value for name, value in environ.items() if is_token_variable(name, prefix) or name == partner}
    found |= {token.reveal() for token in files.tokens.values()}
    return tuple(sorted(value for value in found if len(value) >= MIN_SEARCHED))


def find_hidden(environ: Mapping[str, str], files: SecretFiles, names: SecretNames) -> Sequence[Secret]:
    """Return the available tokens and secrets of all environments: no output may show one."""
    found = {
        value
        for name, value in environ.items()
        if is_token_variable(name, names.token_prefix) or name.startswith(names.secret_prefix)
    }
    found.add(environ.get(names.partner_token_env, ""))
    found |= {value.reveal() for value in (*files.tokens.values(), *files.secrets.all_values())}
    return tuple(Secret(value) for value in sorted(found) if len(value) >= MIN_HIDDEN)


def find_named_secrets(environ: Mapping[str, str], files: SecretFiles, names: SecretNames) -> Mapping[str, str]:
    """Return the secrets that are available to all environments, by name."""
    given = {name: value for name, value in environ.items() if name.startswith(names.secret_prefix) and value}
    return {name: value.reveal() for name, value in files.secrets.general.items()} | given


class EnvironCredentials:
    """Looks tokens and secrets up in `environ`, then in the two files. It reads nothing else.

    `tokens_name` is what messages call the file of tokens. `job` is the job's, in a workflow.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        tokens_file: Mapping[str, Secret] | None = None,
        secrets_file: SecretValues | None = None,
        *,
        allow_local_receivers: bool = False,
        tokens_name: str = TOKENS_FILE,
        job: JobSecrets | None = None,
    ) -> None:
        self._job = job
        self._tokens_name = tokens_name
        self._environ = environ
        self._tokens_file = tokens_file or {}
        self._secrets_file = secrets_file or SecretValues()
        self._allow_local_receivers = allow_local_receivers
        self._facts: dict[str, TokenFacts] = {}

    def token(self, desired: Desired) -> Secret | None:
        """Return the token from the variable `token_env`, else from the tokens file.

        An empty variable counts as not set: GitHub Actions passes a secret that isn't set as an empty text.
        """
        value = self._environ.get(desired.token_env)
        return Secret(value) if value else self._tokens_file.get(desired.environment)

    def token_origin(self, desired: Desired) -> str:
        """Return in words where the token came from, never the token itself."""
        if self._environ.get(desired.token_env):
            return desired.token_env
        return f"{self._tokens_name} ({desired.environment})"

    def partner_token(self, token_env: str) -> Secret | None:
        """Return the partner token, from the variable only: it opens the accounts of all environments."""
        value = self._environ.get(token_env)
        return Secret(value) if value else None

    def secret(self, name: str, environment: str | None) -> Secret | None:
        """Return a secret from its variable, else from the secrets file, where the environment's own value is first."""
        value = self._environ.get(name)
        return Secret(value) if value else self._secrets_file.find(name, environment)

    def has_secret(self, name: str, environment: str) -> bool:
        return self.secret(name, environment) is not None

    def has_partner_token(self, token_env: str) -> bool:
        return self.partner_token(token_env) is not None

    def secret_scope(self, desired: Desired, text: str) -> str | None:
        """Return the environment's name if it fills in the URL with its own secret; None if all fill it in alike."""
        own = self._secrets_file.own.get(desired.environment, {})
        used = (name for name in desired.secrets if name in own and f"{{secret:{name}}}" in text)
        return desired.environment if any(not self._environ.get(name) for name in used) else None

    def fingerprint(self, desired: Desired) -> Fingerprint:
        """Return the signatures of the available token and secrets, as the state stores them.

        Without a token, nothing can be signed, and the fingerprint is empty.
        """
        token = self.token(desired)
        if token is None:
            return Fingerprint()
        secrets = {}
        for name in desired.secrets:
            secret = self.secret(name, desired.environment)
            if secret is not None:
                secrets[name] = f"hmac-sha256:{token.sign(secret.reveal().encode(errors='surrogateescape'))}"
        facts = self._read(token)
        return Fingerprint(account=facts.account, secrets=secrets, token_expires_at=facts.expires_at)

    def _read(self, token: Secret) -> TokenFacts:
        """Return the facts of a token, which is read once: a plan needs them twice, and an apply more often."""
        value = token.reveal()
        facts = self._facts.get(value)
        if facts is None:
            facts = self._facts[value] = read_token(token)
        return facts

    def fill(self, desired: Desired) -> dict[Event, str]:
        """Return the URLs as they are sent. Secrets are filled in nowhere else."""
        return {event: self.fill_url(desired.webhooks[event], desired.environment) for event in EVENTS}

    def fill_url(self, text: str, environment: str) -> str:
        """Return one URL as it is sent, from its text form."""

        def reveal(name: str) -> str:
            secret = self.secret(name, environment)
            return "" if secret is None else secret.reveal()

        return fill_secrets(text, reveal)

    # --- checks ------------------------------------------------------------------------------------

    def find_malformed_tokens(self, desired: Iterable[Desired]) -> list[Problem]:
        """Return a problem for each token whose value can't be a token."""
        problems = []
        for one in desired:
            token = self.token(one)
            fault = None if token is None else find_token_fault(token)
            if fault is not None:
                message = f"the token of {one.environment} in {self.token_origin(one)} {fault.message}"
                problems.append(_problem(one, "token_env", message, fault.hint))
        return problems

    def find_missing(self, desired: Iterable[Desired]) -> list[Problem]:
        """Return why environments can't be PUT: no token, no secret, or a URL that is invalid when it is filled in."""
        problems: list[Problem] = []
        for one in desired:
            if self.token(one) is None:
                problem = self._explain_missing_token(one)
                problems += [] if problem in problems[:1] else [problem]
            problems.extend(self._find_secret_problems(one))
        return problems

    def _explain_missing_token(self, desired: Desired) -> Problem:
        name, job = desired.environment, self._job
        if job is not None and job.tokens and not self._tokens_file:
            return Problem.of(job.tokens, "the secret is not set", job.explain_all_tokens())
        hint = f"set the variable {desired.token_env}, or put {name} into {self._tokens_name}"
        hint = hint if job is None else job.explain_token(name)
        return _problem(desired, "token_env", f"no token for {name}", hint)

    def find_missing_secrets(self, desired: Iterable[Desired]) -> list[Problem]:
        """Return the same without the tokens, for calls to the receivers (docs/contract.md#drift)."""
        return [problem for one in desired for problem in self._find_secret_problems(one)]

    def _find_secret_problems(self, desired: Desired) -> Iterable[Problem]:
        if not desired.secrets:
            return
        bad: set[str] = set()
        for name in desired.secrets:
            problem = self._find_secret_problem(desired, name)
            if problem is not None:
                bad.add(name)
                yield problem
        if bad:
            return
        for event in EVENTS:
            if "{secret:" not in desired.webhooks[event]:
                continue
            url = self.fill_url(desired.webhooks[event], desired.environment)
            fault = find_filled_fault(url, allow_local=self._allow_local_receivers)
            if fault is not None:
                source = desired.sources[event]
                names = ", ".join(desired.secrets)
                message = f"once {names} is filled in, the URL {fault}"
                yield Problem.at(source, f"webhooks.{event}", message)

    def _find_secret_problem(self, desired: Desired, name: str) -> Problem | None:
        secret = self.secret(name, desired.environment)
        use = f"a webhook of {desired.environment} has {{secret:{name}}}"
        if secret is None:
            has_line = name in self._environ
            state = "is empty" if has_line else "is not set"
            hint = f"set it, or put it into the secrets file: {use}"
            hint = hint if self._job is None else f"{use}: {self._job.explain_secret(name, has_line=has_line)}"
            return _problem(desired, name, f"the variable {name} {state}", hint)
        fault = find_secret_fault(secret.reveal())
        if fault is None:
            return None
        return _problem(desired, name, f"{self._secret_origin(name)} {fault}", use)

    def find_changed_secrets(self, desired: Iterable[Desired]) -> list[Problem]:
        """Return a warning for each secret that would arrive changed in a URL, at the first URL with it."""
        found: dict[tuple[str, Secret, Fault], Problem] = {}
        for one in desired:
            for event in EVENTS if one.secrets else ():
                for name, in_query in find_secret_places(one.webhooks[event]):
                    secret = self.secret(name, one.environment)
                    fault = None if secret is None else find_secret_change(secret.reveal(), in_query=in_query)
                    if secret is not None and fault is not None:
                        message = f"{self._secret_origin(name)} {fault.message}"
                        problem = Problem.at(one.sources[event], f"webhooks.{event}", message, fault.hint)
                        found.setdefault((name, secret, fault), problem)
        return list(found.values())

    def _secret_origin(self, name: str) -> str:
        return f"the variable {name}" if self._environ.get(name) else f"{name} of the secrets file"

    def find_partner_problems(
        self, observed: Sequence[Desired], token_env: str, allowed_hosts: Collection[str]
    ) -> list[Problem]:
        """Return why the accounts of `observed` can't be read: a fault of the partner token or the API's address."""
        names = name_some([one.environment for one in observed])
        purpose = Fault(f"--observe reads the account of {names} with it", "leave --observe out")
        urls = {one.partner_base_url or "" for one in observed}
        return self.find_partner_faults(token_env, urls, allowed_hosts, purpose)

    def find_partner_faults(
        self, token_env: str, base_urls: Collection[str], allowed_hosts: Collection[str], purpose: Fault
    ) -> list[Problem]:
        """Return the same for any read. `purpose` says what needs the token; its hint says how to do without."""
        problems = []
        token = self.partner_token(token_env)
        if token is None:
            message = f"there is no partner token in {token_env}, and {purpose.message}"
            hint = f"set the variable {token_env}, or {purpose.hint}"
            problems.append(Problem.of("partner.token_env", message, hint))
        elif (fault := find_token_fault(token)) is not None:
            message = f"the partner token in {token_env} {fault.message}"
            problems.append(Problem.of("partner.token_env", message, fault.hint))
        # the settings check an address that is set; the default is checked here, where it is used
        for url in sorted(base_urls):
            address_fault = find_base_url_fault(url, allowed_hosts)
            if address_fault is not None:
                problems.append(Problem.of("partner.base_url", *address_fault))
        return problems

    def find_shared_accounts(self, desired: Iterable[Desired]) -> list[Problem]:
        """Return a problem for environments whose tokens are of one company: they would overwrite each other."""
        by_account: dict[str, list[Desired]] = defaultdict(list)
        for one in desired:
            token = self.token(one)
            if token is not None:
                by_account[self._read(token).account].append(one)
        problems = []
        for sharing in by_account.values():
            for one in sharing[1:]:
                message = (
                    f"the tokens of {one.environment} ({self.token_origin(one)}) and {sharing[0].environment} "
                    f"({self.token_origin(sharing[0])}) belong to the same Plug company: each apply would overwrite "
                    "the other's webhooks"
                )
                problems.append(_problem(one, "token_env", message, "give each environment its own company's token"))
        return problems

    def find_expired(self, desired: Iterable[Desired], now: datetime) -> list[str]:
        """Return a warning for each token that has expired by its JWT. It is a hint: only Plug knows."""
        warnings = []
        for one in desired:
            token = self.token(one)
            until = None if token is None else self._read(token).expires_at
            if until is not None and until <= now:
                warnings.append(
                    f"{one.environment}: the token of {self.token_origin(one)} says that it expired at "
                    f"{instant(until)}: Plug will probably answer 401"
                )
        return warnings

    def account(self, desired: Desired) -> str | None:
        """Return the token's account as the state stores it (docs/state.md); None without a token."""
        token = self.token(desired)
        return None if token is None else self._read(token).account

    def organization(self, desired: Desired) -> str | None:
        token = self.token(desired)
        return None if token is None else self._read(token).organization


def _problem(desired: Desired, key: str, message: str, hint: str) -> Problem:
    return Problem.at(desired.source, key, message, hint)
