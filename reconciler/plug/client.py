"""The PUT over HTTP: one call of `put` is one attempt (docs/contract.md#requests, docs/contract.md#outcomes)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import assert_never

from reconciler.core.answers import judge
from reconciler.core.attempts import Attempt, Fate
from reconciler.io.http.proxy import UnusableProxy
from reconciler.model import AuthScheme, BodyForm, Desired, Event
from reconciler.plug.sender import Sender, describe_incomplete, make_attempt
from reconciler.text.plug_status import explain_put


class HttpPlug(Sender):
    """The `Plug` port over HTTP."""

    async def put(self, desired: Desired) -> Attempt:
        """Make one attempt. Failures of the network or the server are in the attempt, and are never raised."""
        token = self._credentials.token(desired)
        if token is None:
            return Attempt(Fate.UNSENT, message=f"no token in {desired.token_env}")
        authorization = token.reveal() if desired.auth_scheme is AuthScheme.RAW else f"Bearer {token.reveal()}"
        body = make_body(self._credentials.fill(desired), desired.body)
        try:
            reply = await self._send("PUT", desired.endpoint, authorization, setting="api.base_url", body=body)
        except UnusableProxy as error:
            return Attempt(Fate.UNSENT, message=f"not sent: {error}")
        verdict = judge(reply.arrived, written=reply.exchange.written)
        status = reply.arrived.status
        if status is None or not verdict.complete:
            return make_attempt(reply, verdict, describe_incomplete(reply, verdict))
        origin = self._credentials.token_origin(desired)
        message = explain_put(
            status,
            token_env=origin,
            auth_scheme=desired.auth_scheme,
            body=desired.body,
            denied=verdict.denied,
        )
        return make_attempt(reply, verdict, message)


def make_body(filled: Mapping[Event, str], form: BodyForm) -> bytes:
    """Return the body of the PUT (docs/contract.md#requests). `filled` holds the seven URLs as they are sent."""
    match form:
        case BodyForm.FLAT:
            value: object = filled
        case BodyForm.VALUE:
            value = {"value": filled}
        case _:
            assert_never(form)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
