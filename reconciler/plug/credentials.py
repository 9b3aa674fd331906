"""The tokens and secrets at hand, and what must hold of them before anything is sent (CONTRACT §3, §6.1)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from reconciler.core.fill import fill_secrets
from reconciler.core.urls import find_filled_fault, find_secret_fault
from reconciler.model import EVENTS, Desired, Event, Fingerprint, Problem
from reconciler.plug.secret import Secret
from reconciler.plug.token import account_of, expires_at, find_token_fault, organization_of


class Credentials:
    """Looks tokens and secrets up in `environ`, then in the tokens of a tokens file. Reads nothing else."""

    def __init__(
        self,
        environ: Mapping[str, str],
        tokens_file: Mapping[str, Secret] | None = None,
        *,
        allow_local_receivers: bool = False,
    ) -> None:
        self._environ = environ
        self._tokens_file = tokens_file or {}
        self._allow_local_receivers = allow_local_receivers
        self._accounts: dict[Secret, str] = {}

    def token(self, desired: Desired) -> Secret | None:
        """From the variable `token_env`, else from the tokens file. An empty variable holds none: that is how
        GitHub Actions passes a secret that isn't set."""
        value = self._environ.get(desired.token_env)
        return Secret(value) if value else self._tokens_file.get(desired.environment)

    def token_origin(self, desired: Desired) -> str:
        """Where the token came from, in words: never the token."""
        if self._environ.get(desired.token_env):
            return desired.token_env
        return f"the tokens file ({desired.environment})"

    def secret(self, name: str) -> Secret | None:
        value = self._environ.get(name)
        return Secret(value) if value else None

    def fingerprint(self, desired: Desired) -> Fingerprint:
        """What the token and secrets at hand look like in the state. Without a token nothing can be signed."""
        token = self.token(desired)
        if token is None:
            return Fingerprint()
        secrets = {}
        for name in desired.secrets:
            secret = self.secret(name)
            if secret is not None:
                secrets[name] = f"hmac-sha256:{token.sign(secret.reveal().encode(errors='surrogateescape'))}"
        return Fingerprint(account=self._account(token), secrets=secrets)

    def _account(self, token: Secret) -> str:
        """Worked out once: a plan asks for each token's twice."""
        account = self._accounts.get(token)
        if account is None:
            account = self._accounts[token] = account_of(token)
        return account

    def fill(self, desired: Desired) -> dict[Event, str]:
        """The URLs as they are sent: the only place where secrets get into them."""
        return {event: self.fill_url(desired.webhooks[event]) for event in EVENTS}

    def fill_url(self, text: str) -> str:
        """One URL as it is sent, from its text form."""
        return fill_secrets(text, self._reveal)

    def _reveal(self, name: str) -> str:
        secret = self.secret(name)
        return "" if secret is None else secret.reveal()

    # --- checks ------------------------------------------------------------------------------------

    def find_malformed_tokens(self, desired: Iterable[Desired]) -> list[Problem]:
        """Tokens at hand that can't be tokens. They are refused wherever a token is looked at."""
        problems = []
        for one in desired:
            token = self.token(one)
            fault = None if token is None else find_token_fault(token)
            if fault is not None:
                hint = "store the token again, without a line end or quotes around it"
                problems.append(
                    _problem(
                        one, "token_env", f"the token of {one.environment} in {self.token_origin(one)} {fault}", hint
                    )
                )
        return problems

    def find_missing(self, desired: Iterable[Desired]) -> list[Problem]:
        """What the environments that will be PUT lack: a token, a secret, a URL that is still one once filled in."""
        problems: list[Problem] = []
        for one in desired:
            if self.token(one) is None:
                hint = f"set the variable {one.token_env}, or put {one.environment} into the tokens file"
                problems.append(_problem(one, "token_env", f"no token for {one.environment}", hint))
            problems.extend(self._find_secret_problems(one))
        return problems

    def find_missing_secrets(self, desired: Iterable[Desired]) -> list[Problem]:
        """The same without the tokens: what calling the receivers needs (CONTRACT §8)."""
        return [problem for one in desired for problem in self._find_secret_problems(one)]

    def _find_secret_problems(self, desired: Desired) -> Iterable[Problem]:
        if not desired.secrets:
            return
        bad: set[str] = set()
        for name in desired.secrets:
            value = self._environ.get(name)
            fault = "is not set" if value is None else find_secret_fault(value)
            if fault is not None:
                bad.add(name)
                hint = f"it stands in a webhook of {desired.environment} as {{secret:{name}}}"
                yield _problem(desired, name, f"the variable {name} {fault}", hint)
        if bad:
            return
        for event in EVENTS:
            if "{secret:" not in desired.webhooks[event]:
                continue
            url = fill_secrets(desired.webhooks[event], self._reveal)
            fault = find_filled_fault(url, allow_local=self._allow_local_receivers)
            if fault is not None:
                source = desired.sources[event]
                names = ", ".join(desired.secrets)
                message = f"once {names} is filled in, the URL {fault}"
                yield Problem.at(source, f"webhooks.{event}", message, "")

    def find_shared_accounts(self, desired: Iterable[Desired]) -> list[Problem]:
        """Environments whose tokens at hand are equal or of one organization: they would overwrite each other."""
        by_account: dict[str, list[Desired]] = defaultdict(list)
        for one in desired:
            token = self.token(one)
            if token is not None:
                by_account[self._account(token)].append(one)
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
        """Warnings: a JWT's `exp` is a hint, so Plug has the last word."""
        warnings = []
        for one in desired:
            token = self.token(one)
            until = None if token is None else expires_at(token)
            if until is not None and until <= now:
                warnings.append(
                    f"{one.environment}: the token of {self.token_origin(one)} says that it expired at "
                    f"{until:%Y-%m-%dT%H:%M:%SZ}: Plug will probably answer 401"
                )
        return warnings

    def account(self, desired: Desired) -> str | None:
        """As the state names it (CONTRACT §7); None without a token at hand."""
        token = self.token(desired)
        return None if token is None else self._account(token)

    def organization(self, desired: Desired) -> str | None:
        token = self.token(desired)
        return None if token is None else organization_of(token)


def _problem(desired: Desired, key: str, message: str, hint: str) -> Problem:
    source = desired.source
    return Problem.at(source, key, message, hint)
