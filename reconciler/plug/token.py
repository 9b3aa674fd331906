"""The facts that can be read from a token. A JWT's payload is a hint, never proof: its signature can't be checked.

See docs/plug-api.md#tokens.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from msgspec import Struct

from reconciler.core.accounts import ORGANIZATION
from reconciler.core.jwt import ORGANIZATION_CLAIM, read_payload
from reconciler.model import Fault
from reconciler.plug.secret import Secret

ACCOUNT_MESSAGE = b"reconciler-account"
ACCOUNT_DIGITS = 16
_QUOTES = "\"'`"
_HEADER = re.compile(r"\s*(?:(?:proxy-)?authorization\s*:|bearer(?:\s|:|%20))", re.IGNORECASE)


def find_token_fault(token: Secret) -> Fault | None:
    """Return why a value can't be a token, without repeating any part of it."""
    value = token.reveal()
    if len(value) > 1 and value[0] == value[-1] and value[0] in _QUOTES:
        return Fault("has quotes around it", "store the bare token; env files keep quotes as part of the value")
    if _HEADER.match(value):
        message = "begins with Bearer or Authorization: as in a header"
        return Fault(message, "store the bare token; set api.auth_scheme to bearer where Plug expects that word")
    hint = "store the token again, without a line end or quotes around it"
    if value.isascii() and value.isprintable() and " " not in value:
        return None
    if any(char.isspace() for char in value):
        return Fault("holds white space (often a line end from copying)", hint)
    if not value.isascii():
        return Fault("holds a character outside ASCII", hint)
    return Fault("holds a control character", hint)


class TokenFacts(Struct, frozen=True):
    """The account, organization and expiry of a token.

    `account` is as the state stores it (docs/state.md): `org:` and the organization of a JWT, else `token:` and 16 hex
    digits that only the token's holder can make. `organization` is None for an opaque token; `expires_at` is a JWT's
    `exp` in whole seconds.
    """

    account: str
    organization: str | None
    expires_at: datetime | None


def read_token(token: Secret) -> TokenFacts:
    payload = read_payload(token.reveal())
    organization = _organization_of(payload.get(ORGANIZATION_CLAIM))
    if organization is None:
        account = f"token:{token.sign(ACCOUNT_MESSAGE)[:ACCOUNT_DIGITS]}"
    else:
        account = ORGANIZATION + organization
    return TokenFacts(account, organization, _instant_of(payload.get("exp")))


def _organization_of(found: object) -> str | None:
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        return None
    text = str(found)
    return text if text.encode("utf-8", "replace").decode() == text else None


def _instant_of(found: object) -> datetime | None:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        return datetime.fromtimestamp(found, UTC).replace(microsecond=0)
    except (ValueError, OverflowError, OSError):
        return None
