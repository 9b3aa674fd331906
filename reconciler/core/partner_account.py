"""An account of Plug's partner API, and the comparison of its URLs with the applied ones.

See docs/plug-api.md#the-partner-api.

    account (JSON) ── parse_account ──> Account ── compare_account ──> comparisons

A webhook that isn't shown, or can't be compared, never counts as the same. An account's URLs contain secrets, so
`compare_account` returns them only in a form that may be shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from reconciler.core.fill import MAX_URL_BYTES, double_braces, fill_secrets, secret_names, split_secrets
from reconciler.core.masking import find_secretive_events, mask_query, mask_url
from reconciler.core.observe import EventComparison, Verdict
from reconciler.model import EVENTS, Event, Unprinted, Webhooks
from reconciler.text.counts import name_some

FIELDS: Mapping[Event, str] = {
    Event.FINISH_ATTENDANCE: "onFinishAttendance",
    Event.START_ATTENDANCE: "onStartAttendance",
    Event.RECEIVE_MESSAGE: "onReceiveMessage",
    Event.SENDING_MESSAGE: "onSendingMessage",
    Event.MESSAGE_DELIVERY_ERROR: "onMessageDeliveryError",  # documented on creation only: it may be absent
    Event.MESSAGE_STATUS: "onMessageStatus",
}

NEVER_SHOWN = "the partner API never shows it"
NOT_SHOWN = "the account doesn't show it"
GARBLED = "the account shows it as neither a text nor null"

_BEYOND_HOST = re.compile(r"[a-z]+://[^/?]*[/?].", re.DOTALL)


class NotAnAccount(ValueError):
    """An answer that is not an account. The text says why, and repeats nothing of the answer."""


class Account(Unprinted, frozen=True):
    """The webhooks that an account shows, six at most. `shown` has the URL as it is; None: nothing is registered."""

    shown: Mapping[Event, str | None]
    garbled: frozenset[Event]  # present, but neither a text nor null

    def find_gap(self, event: Event) -> str | None:
        """Return why it is not known what the account has for an event; None if `shown` says it."""
        if event not in FIELDS:
            return NEVER_SHOWN
        if event in self.garbled:
            return GARBLED
        return None if event in self.shown else NOT_SHOWN


class AvailableSecrets(Struct, frozen=True):
    """Access to the available secrets, for comparisons. No value is stored here."""

    value_of: Callable[[str], str | None]  # None: not available
    occur_in: Callable[[str], bool]  # whether a URL contains any token or secret
    replaced: frozenset[str] = frozenset()  # names of those whose value is known to differ from the applied one


def parse_account(value: object) -> Account:
    """Return the account in a decoded answer. Raises NotAnAccount, also if it has none of the fields."""
    if not isinstance(value, dict):
        raise NotAnAccount("the answer is not a JSON object")
    present = {event: value[name] for event, name in FIELDS.items() if name in value}
    if not present:
        raise NotAnAccount("the answer has none of the webhooks, so it is not an account as documented")
    shown = {event: url for event, url in present.items() if url is None or isinstance(url, str)}
    return Account(shown, frozenset(present.keys() - shown.keys()))


def compare_account(
    account: Account,
    desired: Webhooks,
    applied: Webhooks | None,
    secrets: AvailableSecrets,
    past: Sequence[Webhooks],
) -> tuple[EventComparison, ...]:
    """Return a comparison for each of the seven events; without an applied record, only for those not shown.

    `past` has the webhooks that `find_past` returns. They are not compared: they only show which URLs of the account
    may contain a secret.
    """
    masks = _find_masks(desired, applied or {}, past, secrets)
    return tuple(_compare_all(account, desired, applied, secrets, masks))


class _Masks(Struct, frozen=True):
    """The data that shows whether a URL may contain a secret whose value is not known."""

    events: frozenset[Event]  # those with a secret in their URL, now or in the past
    texts: frozenset[str]  # text forms with a secret whose value is not known, so that it can't be searched for


def _find_masks(desired: Webhooks, applied: Webhooks, past: Sequence[Webhooks], secrets: AvailableSecrets) -> _Masks:
    every = (desired, applied, *past)
    texts = {text for webhooks in every for text in webhooks.values() if secret_names(text)}
    current = {*desired.values(), *applied.values()}
    return _Masks(
        events=find_secretive_events(every),
        texts=frozenset(text for text in texts if not (text in current and _is_known(text, secrets))),
    )


def _is_known(text: str, secrets: AvailableSecrets) -> bool:
    """Return whether the values of all its secrets are available, and none is known to differ from the applied one."""
    return all(secrets.value_of(name) is not None and name not in secrets.replaced for name in secret_names(text))


def _compare_all(
    account: Account, desired: Webhooks, applied: Webhooks | None, secrets: AvailableSecrets, masks: _Masks
) -> Iterator[EventComparison]:
    for event in EVENTS:
        gap = account.find_gap(event)
        if gap is not None:
            verdict = Verdict.GARBLED if event in account.garbled else Verdict.UNSEEN
            yield EventComparison(event, verdict, reason=gap)
        elif applied is not None:
            # an empty URL means that nothing is registered, as null does
            yield _compare_event(event, account.shown[event] or None, desired[event], applied[event], secrets, masks)


def _compare_event(
    event: Event, url: str | None, desired: str, applied: str, secrets: AvailableSecrets, masks: _Masks
) -> EventComparison:
    verdict, reason = _judge(applied, url, secrets)
    if verdict is not Verdict.DIFFERENT:
        return EventComparison(event, verdict, reason=reason)
    wanted = desired != applied and _judge(desired, url, secrets)[0] is Verdict.SAME
    return EventComparison(event, verdict, _show(event, url, secrets, masks), wanted)


def _judge(text: str, url: str | None, secrets: AvailableSecrets) -> tuple[Verdict, str]:
    """Decide whether Plug holds the URL of this text form; the second value is the reason of UNCOMPARED."""
    if url is None:
        return Verdict.DIFFERENT, ""
    names = secret_names(text)
    values = {name: secrets.value_of(name) for name in names}
    lacking = [name for name, value in values.items() if value is None]
    if not lacking and url == fill_secrets(text, lambda name: values[name] or ""):
        return Verdict.SAME, ""
    known = {name: value for name, value in values.items() if value is not None and name not in secrets.replaced}
    if not _could_be(text, url, known):
        return Verdict.DIFFERENT, ""
    if lacking:
        return Verdict.UNCOMPARED, f"{name_some(lacking)} is not available to compare the URL with"
    replaced = [name for name in names if name in secrets.replaced]
    return (
        Verdict.UNCOMPARED,
        f"{name_some(replaced)} was replaced since the last apply, so there is nothing to compare",
    )


def _could_be(text: str, url: str, known: Mapping[str, str]) -> bool:
    """Return whether `url` fits `text`: with the `known` secrets, and one or more characters for each other one."""
    literals, names = split_secrets(text)
    pieces = [literals[0]]
    for name, literal in zip(names, literals[1:], strict=True):
        if name in known:
            pieces[-1] += known[name] + literal
        else:
            pieces.append(literal)
    if len(pieces) == 1:
        return url == pieces[0]
    if not url.startswith(pieces[0]):
        return False
    # the first match of each piece leaves the most room for the rest, so one pass over the URL is enough
    end = len(pieces[0])
    for piece in pieces[1:-1]:
        found = url.find(piece, end + 1)
        if found < 0:
            return False
        end = found + len(piece)
    return url.endswith(pieces[-1]) and len(url) - len(pieces[-1]) > end


def _resembles(url: str, text: str) -> bool:
    """Return whether `url` may be `text` with its secret, as everything before the secret is the same."""
    head = split_secrets(text)[0][0]
    if _BEYOND_HOST.match(head):
        return url.startswith(head)
    return _could_be(text, url, {})


def _show(event: Event, url: str | None, secrets: AvailableSecrets, masks: _Masks) -> str | None:
    """Return the URL in its text form without the values of its query; if it may contain a secret, scheme and host."""
    if url is None:
        return None
    if event in masks.events or secrets.occur_in(url) or any(_resembles(url, text) for text in masks.texts):
        masked = mask_url(url)
        return "…" if secrets.occur_in(masked) else masked
    if len(url) > MAX_URL_BYTES:
        url = url[:MAX_URL_BYTES] + "…"  # no valid webhook is longer, so the rest says nothing
    return double_braces(mask_query(url))
