"""The read of an account over HTTP: one call of `read` is one attempt (CONTRACT §8; FACTS P)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote

import httpx

from reconciler.core.account import Account, NotAnAccount, SecretsAtHand, compare_account, parse_account
from reconciler.core.attempts import Attempt, Fate, classify_answer
from reconciler.core.observe import EventComparison
from reconciler.io.http.proxy import UnusableProxy
from reconciler.model import Applied, Desired, Webhooks
from reconciler.plug.client import (
    MAX_ANSWER_BYTES,
    UNDONE_CODINGS,
    USER_AGENT,
    describe_transport_error,
    parse_retry_after,
    read_limited,
)
from reconciler.plug.credentials import Credentials
from reconciler.plug.pool import Connections
from reconciler.plug.secret import Secret
from reconciler.ports import Reading
from reconciler.text.explain import explain_read

ACCOUNT_PATH = "/integrator/account/"


class HttpObserver:
    """Reads accounts with the partner token, at most as many at a time as the caller runs.

    `token_env` names the token's variable in messages. `hidden` are the tokens and secrets at hand, of whatever
    environment: a URL that holds one is masked, wherever somebody has pasted it.
    """

    def __init__(
        self,
        credentials: Credentials,
        token: Secret,
        token_env: str,
        *,
        hidden: Sequence[Secret] = (),
        timeout_s: float,
        environ: Mapping[str, str],
    ) -> None:
        self._credentials = credentials
        self._token = token
        self._token_env = token_env
        self._hidden = hidden
        self._timeout_s = timeout_s
        self._connections = Connections(environ)

    async def __aenter__(self) -> HttpObserver:
        await self._connections.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connections.__aexit__(kind, error, trace)

    async def read(self, desired: Desired, applied: Applied | None, past: Sequence[Webhooks] = ()) -> Reading:
        """One attempt. Raises nothing that the network or the server did: that is what the attempt says."""
        url = account_url(desired)
        headers = {
            "Authorization": f"Bearer {self._token.reveal()}",
            "User-Agent": USER_AGENT,
            "Accept": "application/json",
            # a compressed answer would have to be unpacked before its length is known
            "Accept-Encoding": "identity",
        }
        try:
            with self._connections.borrow(url) as connection:
                async with asyncio.timeout(self._timeout_s):
                    response = await connection.send("GET", url, headers)
                    try:
                        answer = await read_limited(response)
                    finally:
                        await response.aclose()
                    await connection.drop_if_ahead()
        except UnusableProxy as error:
            return _broken_off(f"not sent: {error}")
        except TimeoutError:
            return _broken_off(f"no complete answer within {self._timeout_s:g} s")
        except httpx.HTTPError as error:
            return _broken_off(f"no complete answer: {describe_transport_error(error)}")
        except OSError as error:  # ssl.SSLError too
            return _broken_off(f"no complete answer: {type(error).__name__}")
        return self._conclude(response, answer, lambda account: self._compare(account, desired, applied, past))

    def _conclude(
        self, response: httpx.Response, answer: bytes | None, compare: Callable[[Account], tuple[EventComparison, ...]]
    ) -> Reading:
        status = response.status_code
        message, comparisons = explain_read(status, token_env=self._token_env), None
        if status == 200:
            try:
                account = decode_account(answer, response.headers.get("content-encoding", "identity"))
                message, comparisons = "read", compare(account)
            except NotAnAccount as error:
                message = str(error)
        attempt = Attempt(
            fate=classify_answer(status, complete=True),
            status=status,
            complete=True,
            retry_after_s=parse_retry_after(response.headers.get("retry-after"), datetime.now(UTC)),
            message=message,
        )
        return Reading(attempt, comparisons)

    # --- secrets -----------------------------------------------------------------------------------

    def _compare(
        self, account: Account, desired: Desired, applied: Applied | None, past: Sequence[Webhooks]
    ) -> tuple[EventComparison, ...]:
        at_hand = SecretsAtHand(
            value_of=lambda name: self._reveal(desired, name),
            replaced=self._find_replaced(desired, applied),
            occur_in=self._holds_hidden,
        )
        return compare_account(account, desired.webhooks, applied.webhooks if applied else None, at_hand, past)

    def _reveal(self, desired: Desired, name: str) -> str | None:
        """Only what the manifest names: an edited state must not have other variables compared with."""
        secret = self._credentials.secret(name) if name in desired.secrets else None
        return None if secret is None else secret.reveal()

    def _find_replaced(self, desired: Desired, applied: Applied | None) -> frozenset[str]:
        """Secrets at hand that are signed otherwise than the applied ones: replaced, or their token was."""
        if applied is None:
            return frozenset()
        at_hand = self._credentials.fingerprint(desired).secrets
        return frozenset(
            name for name, signed in at_hand.items() if name in applied.secrets and applied.secrets[name] != signed
        )

    def _holds_hidden(self, url: str) -> bool:
        plain = unquote(url)
        return any(value.reveal() in url or value.reveal() in plain for value in self._hidden)


def account_url(desired: Desired) -> str:
    """The account's address: the id is one segment of it, whatever it holds."""
    assert desired.account_id is not None, "an environment without an account is not observed"
    assert desired.partner_base_url is not None, "where an account is, there is its address"
    return f"{desired.partner_base_url.rstrip('/')}{ACCOUNT_PATH}{quote(desired.account_id, safe='')}/"


def decode_account(answer: bytes | None, coding: str) -> Account:
    """The account in an answer's body; None is one longer than is read. Raises NotAnAccount."""
    if answer is None:
        raise NotAnAccount(f"the answer is longer than {MAX_ANSWER_BYTES:,} bytes, so it is no account as documented")
    if coding.strip().lower() not in UNDONE_CODINGS:
        raise NotAnAccount("the answer is in a coding that was not asked for")
    try:
        # no number of an account is read, and Python refuses those of many digits
        value = json.loads(answer, parse_int=lambda digits: 0, object_pairs_hook=_without_duplicates)
    except NotAnAccount:
        raise
    except (ValueError, RecursionError):
        raise NotAnAccount("the answer is not JSON") from None  # a library's error would quote it
    return parse_account(value)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotAnAccount("the answer gives a field twice")
    return value


def _broken_off(message: str) -> Reading:
    return Reading(Attempt(Fate.AMBIGUOUS, complete=False, message=message))
