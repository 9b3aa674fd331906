"""The read of an account over HTTP: one call of `read` is one attempt.

See docs/contract.md#drift; docs/plug-api.md#the-partner-api.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from urllib.parse import quote

from msgspec.structs import replace

from reconciler.core.answers import Arrived, Incomplete, TooDeep, judge, merge_pairs, parse_answer
from reconciler.core.attempts import Attempt, Fate
from reconciler.core.json_keys import RepeatedKey
from reconciler.core.observe import EventComparison
from reconciler.core.partner_account import Account, AvailableSecrets, NotAnAccount, compare_account, parse_account
from reconciler.core.spelling import SpelledValues
from reconciler.io.http.client import Reply
from reconciler.io.http.proxy import UnusableProxy
from reconciler.model import Applied, Desired, Webhooks
from reconciler.plug.credentials import EnvironCredentials
from reconciler.plug.secret import Secret
from reconciler.plug.sender import Sender, describe_incomplete, explain_unreadable, make_attempt
from reconciler.ports import AccountReading, Reading
from reconciler.text.plug_status import explain_read

ACCOUNT_PATH = "/integrator/account/"


class HttpObserver(Sender):
    """The ports `Observer` and `AccountReader` over HTTP, with the partner token.

    `token_env` names the token's variable in messages. `hidden` are the available tokens and secrets of all
    environments: a URL that holds one is masked.
    """

    def __init__(
        self,
        credentials: EnvironCredentials,
        token: Secret,
        token_env: str,
        *,
        hidden: Sequence[Secret],
        timeout_s: float,
        environ: Mapping[str, str],
    ) -> None:
        super().__init__(credentials, timeout_s=timeout_s, environ=environ)
        self._token = token
        self._token_env = token_env
        self._hidden = hidden

    async def read(self, desired: Desired, applied: Applied | None, past: Sequence[Webhooks] = ()) -> Reading:
        """Make one attempt. Failures of the network or the server are in the attempt, and are never raised."""
        reading = await self._read(account_url(desired))
        if reading.account is None:
            return Reading(reading.attempt)
        return Reading(reading.attempt, self._compare(reading.account, desired, applied, past))

    async def read_account(self, account_id: str, base_url: str) -> AccountReading:
        """Make one attempt, like `read`."""
        return await self._read(make_account_url(account_id, base_url))

    async def _read(self, url: str) -> AccountReading:
        authorization = f"Bearer {self._token.reveal()}"
        try:
            reply = await self._send("GET", url, authorization, setting="partner.base_url")
        except UnusableProxy as error:
            return AccountReading(Attempt(Fate.UNSENT, message=f"not sent: {error}"))
        return self._conclude(reply)

    def _conclude(self, reply: Reply) -> AccountReading:
        arrived = reply.arrived
        verdict = judge(arrived, written=reply.exchange.written)
        if arrived.status is None or verdict.why is Incomplete.CUT:
            return AccountReading(make_attempt(reply, verdict, describe_incomplete(reply, verdict)))
        # a complete answer that can't be read would be the same after a retry
        verdict = replace(verdict, why=None)
        message, account = explain_read(arrived.status, token_env=self._token_env), None
        if arrived.status == 200:
            try:
                account, message = decode_account(arrived), "read"
            except NotAnAccount as error:
                message = str(error)
        return AccountReading(make_attempt(reply, verdict, message), account)

    # --- secrets -----------------------------------------------------------------------------------

    def _compare(
        self, account: Account, desired: Desired, applied: Applied | None, past: Sequence[Webhooks]
    ) -> tuple[EventComparison, ...]:
        available = AvailableSecrets(
            value_of=lambda name: self._reveal(desired, name),
            replaced=self._find_replaced(desired, applied),
            occur_in=self._holds_hidden,
        )
        return compare_account(account, desired.webhooks, applied.webhooks if applied else None, available, past)

    def _reveal(self, desired: Desired, name: str) -> str | None:
        """Return a secret that the manifest names. Others are refused: an edited state must not compare with them."""
        secret = self._credentials.secret(name, desired.environment) if name in desired.secrets else None
        return None if secret is None else secret.reveal()

    def _find_replaced(self, desired: Desired, applied: Applied | None) -> frozenset[str]:
        """Return the available secrets whose signature differs from the applied one, as they or the token changed."""
        if applied is None:
            return frozenset()
        available = self._credentials.fingerprint(desired).secrets
        return frozenset(
            name for name, signed in available.items() if name in applied.secrets and applied.secrets[name] != signed
        )

    @cached_property
    def _spelled(self) -> SpelledValues:
        """Return the index of hidden values. It is made late: for ten thousand tokens it takes a second or two."""
        return SpelledValues(value.reveal() for value in self._hidden)

    def _holds_hidden(self, url: str) -> bool:
        return self._spelled.occur_in(url)


def account_url(desired: Desired) -> str:
    """Return the account's address. The id is one segment of the path, whatever characters it holds."""
    assert desired.account_id is not None, "an environment without an account is not observed"
    assert desired.partner_base_url is not None, "an environment with an account has the partner API's address"
    return make_account_url(desired.account_id, desired.partner_base_url)


def make_account_url(account_id: str, base_url: str) -> str:
    return f"{base_url.rstrip('/')}{ACCOUNT_PATH}{quote(account_id, safe='')}/"


def decode_account(arrived: Arrived) -> Account:
    """Return the account in an answer's body. Raises NotAnAccount."""
    if arrived.body is None:
        raise NotAnAccount(explain_unreadable(Incomplete.TOO_LONG))
    if arrived.undecodable:
        raise NotAnAccount(explain_unreadable(Incomplete.UNDECODABLE, coding=arrived.undecodable))
    try:
        value = merge_pairs(parse_answer(arrived.body))
    except RepeatedKey:
        raise NotAnAccount("the answer gives a field twice") from None
    except TooDeep:
        raise NotAnAccount(explain_unreadable(Incomplete.TOO_DEEP)) from None
    if value is None:
        raise NotAnAccount("the answer is not JSON")
    return parse_account(value)
