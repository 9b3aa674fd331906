"""Explanations of each status that Plug answers with, and what to do about it (docs/contract.md#messages).

No part of the answer's body is ever repeated: it may echo the token or a secret. The explanations of the receivers'
statuses are in `core/receivers.py`.
"""

from __future__ import annotations

from reconciler.model import AuthScheme, BodyForm


def explain_put(status: int, *, token_env: str, auth_scheme: AuthScheme, body: BodyForm, denied: bool = False) -> str:
    """Return a sentence or two on the answer to a PUT, for the person on call.

    The text names the variable of the token, never the token. `denied`: the answer was a 2xx with "value": false.
    """
    if 200 <= status < 300:
        return 'Plug answered 2xx but said "value": false: it did not take the webhooks' if denied else "applied"
    other_body = BodyForm.VALUE if body is BodyForm.FLAT else BodyForm.FLAT
    try_body = f'try api.body "{other_body}" (now "{body}")'
    if status == 401:
        other = AuthScheme.BEARER if auth_scheme is AuthScheme.RAW else AuthScheme.RAW
        return (
            f"401: Plug did not accept the token of {token_env}. Check that it is this company's current token "
            f'and whole; if it is, try api.auth_scheme "{other}" (now "{auth_scheme}"). Plug also answers 401 '
            f"to webhooks it can't read: if the token works elsewhere, {try_body}"
        )
    if status in (400, 422):
        return f"{status}: Plug refused the webhooks. Check that every URL is https and complete; if it is, {try_body}"
    if status == 405:
        return (
            "405: this address does not take a PUT. Check api.base_url: is it Plug's, with the right path prefix? "
            f"(The token of {token_env} was not judged)"
        )
    if status == 415:
        return (
            "415: the Content-Type did not arrive. We always send it: look for a proxy between here and Plug "
            f"that strips headers. (The token of {token_env} was not judged)"
        )
    if status in _REDIRECTS:
        return f"{status}: Plug redirected, and a token never follows a redirect. Set api.base_url to the final address"
    return f"{status}: {_REASONS.get(status, _reason_of_class(status))}"


def explain_read(status: int, *, token_env: str) -> str:
    """Return a sentence or two on an answer of the partner API without an account. It names the token's variable."""
    if status == 401:
        return f"401: Plug did not accept the partner token of {token_env}. Check that it is current and whole"
    if status == 403:
        return f"403: the partner token of {token_env} may not read this account"
    if status == 404:
        return "404: there is no such account. Check account_id and partner.base_url"
    if status in _REDIRECTS:
        return (
            f"{status}: Plug redirected, and a token never follows a redirect. "
            "Set partner.base_url to the final address"
        )
    if 200 <= status < 300:
        return f"{status}: an answer without an account"
    return f"{status}: {_READ_REASONS.get(status) or _REASONS.get(status) or _reason_of_class(status)}"


_REDIRECTS = (301, 302, 303, 307, 308)
_READ_REASONS = {
    400: "Plug refused the request. Check account_id",
    405: "this address does not take a GET. Check partner.base_url",
    422: "Plug refused the request. Check account_id",
}
_REASONS = {
    403: "the token is valid but may not change webhooks",
    404: "there is no update call at this address. Check api.base_url",
    408: "Plug gave up waiting for the request",
    413: "Plug says that the request is too large",
    425: "Plug asked to try again later",
    429: "Plug asks for fewer requests. Set rate_limit, or try again later",
    500: "Plug failed while it handled the request",
    502: "a gateway before Plug got no good answer",
    503: "Plug is not available",
    504: "a gateway before Plug got no answer in time",
    511: "a network before Plug asks for a sign-in: sign in to it, or use another network",
}


def _reason_of_class(status: int) -> str:
    if 400 <= status < 500:
        return "Plug refused the request"
    return "Plug failed while it handled the request" if status >= 500 else "this status has no meaning here"
