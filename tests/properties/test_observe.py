"""Every difference of an account is reported, and nothing that it doesn't show is called the same."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.fill import fill_secrets, secret_names
from reconciler.core.observe import Observation, Verdict
from reconciler.core.partner_account import FIELDS, AvailableSecrets, compare_account, parse_account
from reconciler.core.planner import PlanInput, plan_environment
from reconciler.core.record import adopt
from reconciler.model import EVENTS, Action, By, Fingerprint, Reason
from tests.fakes import START, make_desired

SECRETS = {"PLUG_SECRET_A": "s3cret-of-a", "PLUG_SECRET_B": "s3cret-of-b"}

pieces = st.sampled_from(["x", "yy", "/", "?k=", "{{", "}}", *(f"{{secret:{name}}}" for name in SECRETS)])
texts = st.lists(pieces, max_size=6).map(lambda parts: "https://h.example.com/" + "".join(parts))
seven = st.fixed_dictionaries(dict.fromkeys(EVENTS, texts))
GARBAGE: list[Any] = [1, True, [], {}]
urls = st.one_of(texts.map(lambda text: fill_secrets(text, SECRETS.__getitem__)), st.text(max_size=20), st.none())


@st.composite
def accounts(draw: st.DrawFn, applied: dict[Any, str]) -> dict[str, Any]:
    """Return fields that hold what was applied, a similar text, anything else, or are missing."""
    account: dict[str, Any] = {}
    for event, name in FIELDS.items():
        kind = draw(st.sampled_from(["applied", "applied", "emptied", "near", "url", "garbage", "absent"]))
        sent = fill_secrets(applied[event], SECRETS.__getitem__)
        if kind == "applied":
            account[name] = sent
        elif kind == "emptied":
            account[name] = fill_secrets(applied[event], lambda secret: "")
        elif kind == "near":
            place = draw(st.integers(0, len(sent)))
            account[name] = sent[:place] + draw(st.sampled_from(["", "x", "/"])) + sent[place + 1 :]
        elif kind == "url":
            account[name] = draw(urls)
        elif kind == "garbage":
            account[name] = draw(st.sampled_from(GARBAGE))
    return account or {"onMessageStatus": None}


@given(st.data(), seven, seven, st.sets(st.sampled_from(sorted(SECRETS))), st.sets(st.sampled_from(sorted(SECRETS))))
def test_every_difference_is_reported_and_nothing_unseen_is_the_same(
    data: st.DataObject, applied: dict[Any, str], wanted: dict[Any, str], available: set[str], replaced: set[str]
) -> None:
    """All, some or none of the secrets are available; and no secret is shown."""
    account = data.draw(accounts(applied))
    secrets = AvailableSecrets(
        value_of=lambda name: SECRETS[name] if name in available else None,
        replaced=frozenset(replaced & available),
        occur_in=lambda url: any(value in url for value in SECRETS.values()),
    )
    seen = {one.event: one for one in compare_account(parse_account(account), wanted, applied, secrets)}
    assert set(seen) == set(EVENTS)
    for event in EVENTS:
        comparison = seen[event]
        shown = account.get(FIELDS.get(event, ""), 0)
        names = set(secret_names(applied[event]))
        if shown is not None and not isinstance(shown, str):
            assert comparison.verdict in (Verdict.UNSEEN, Verdict.GARBLED)
            continue
        sent = fill_secrets(applied[event], SECRETS.__getitem__)
        if shown == sent:
            assert comparison.verdict is not Verdict.DIFFERENT
        if comparison.verdict is Verdict.SAME:
            assert shown == sent
            assert names <= available
        if shown != sent and names <= available - replaced:
            assert comparison.verdict is Verdict.DIFFERENT
    assert not any(value in repr(seen) for value in SECRETS.values())


@given(st.data(), seven)
def test_a_plan_has_a_reason_for_every_difference(data: st.DataObject, applied: dict[Any, str]) -> None:
    """A difference is never planned as a noop."""
    desired = make_desired(webhooks=applied)
    document = adopt(None, desired, Fingerprint("org:1"), START, By(), lineage="l")
    secrets = AvailableSecrets(value_of=SECRETS.get)
    account = parse_account(data.draw(accounts(applied)))
    observation = Observation(compare_account(account, applied, applied, secrets))
    planned = plan_environment(desired, document, Fingerprint("org:1"), PlanInput(START), observation)
    differing = [one.event for one in observation.comparisons if one.verdict is Verdict.DIFFERENT]
    assert [one.event for one in planned.live] == differing
    assert (Reason.LIVE_DRIFT in planned.reasons) is bool(differing)
    assert (planned.action is Action.NOOP) is not bool(differing)
    assert ("live" in planned.unchecked) is bool(account.garbled)
