"""The secrets in live URLs, their names, and the URLs that are not valid in a manifest.

See docs/contract.md#commands.
"""

from __future__ import annotations

import re

import pytest

from reconciler.core.fill import fill_secrets
from reconciler.core.imports import Drafts, ImportedCompany, SecretRules, looks_random, make_drafts, read_webhooks
from reconciler.core.partner_account import parse_account
from reconciler.model import EVENTS, Event

STATUS, RECEIVE, START = Event.MESSAGE_STATUS, Event.RECEIVE_MESSAGE, Event.START_ATTENDANCE
KEY = "0123456789abcdef0123"


def rules(
    *plain: str, known: dict[str, str] | None = None, tokens: tuple[str, ...] = (), taken: str = ""
) -> SecretRules:
    def is_plain(text: str) -> bool:
        return any(re.fullmatch(one, text) for one in plain)

    return SecretRules("PLUG_SECRET_", "PLUG_TOKEN", is_plain, known or {}, tokens, frozenset(taken.split()))


def draft(*urls: str, given: SecretRules | None = None, events: tuple[Event, ...] = EVENTS) -> Drafts:
    """Return the draft of one company with these URLs."""
    company = ImportedCompany("loja", webhooks=dict(zip(events, urls, strict=False)))
    return make_drafts([company], given or rules(), allow_local=False)


def texts(drafts: Drafts) -> list[str]:
    return [url for one in drafts.drafts for url in one.webhooks.values()]


@pytest.mark.parametrize(
    "part",
    [
        KEY,
        "1nEFbU3EktLnV7LIIzX",
        "AbCdEfXyZqRsTuVw",
        "AbCdEfXyZqRs-status",
        "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
        "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln",
        "%30123456789abcdef",
        "token=short",
    ],
)
def test_a_part_of_a_path_that_may_be_a_key(part: str) -> None:
    """It has sixteen or more mixed characters, or is a UUID, a JWT, or NAME=VALUE."""
    assert looks_random(part)


@pytest.mark.parametrize(
    "part",
    [
        "",
        "receive",
        "finish-attendance",
        "messageDeliveryError",
        "ATENDIMENTO-MATRIZ-API",
        "onNewMessageFromApi",
        "v2",
        "abc123def456789",
        "5511999998888777666",
        "atendimento%20ao%20cliente",
    ],
)
def test_words_and_numbers_are_not_keys(part: str) -> None:
    assert not looks_random(part)


def test_every_value_of_a_query_becomes_a_secret() -> None:
    """The form of the value and of the query does not matter; the rest of the URL is not changed."""
    drafts = draft(f"https://h.example.com/a/{KEY}/b?k=v&flag;x={{{{1}}}}&=y&empty=")
    assert texts(drafts) == [
        "https://h.example.com/a/{secret:PLUG_SECRET_PATH}/b?k={secret:PLUG_SECRET_K}"
        "&{secret:PLUG_SECRET_FINISH_ATTENDANCE_VALUE};x={secret:PLUG_SECRET_X}"
        "&={secret:PLUG_SECRET_FINISH_ATTENDANCE_VALUE_2}&empty="
    ]
    own = drafts.own["loja"]
    assert (
        fill_secrets(texts(drafts)[0], own.__getitem__) == f"https://h.example.com/a/{KEY}/b?k=v&flag;x={{1}}&=y&empty="
    )
    assert drafts.general == {}


def test_only_equal_values_share_a_name() -> None:
    """The rule is for one environment; the names of the parameters do not matter."""
    drafts = draft(
        "https://h.example.com/?key=same", "https://h.example.com/?token=same", "https://h.example.com/?key=other"
    )
    assert texts(drafts) == [
        "https://h.example.com/?key={secret:PLUG_SECRET_FINISH_ATTENDANCE_KEY}",
        "https://h.example.com/?token={secret:PLUG_SECRET_FINISH_ATTENDANCE_KEY}",
        "https://h.example.com/?key={secret:PLUG_SECRET_RECEIVE_MESSAGE_KEY}",
    ]
    assert drafts.own == {
        "loja": {"PLUG_SECRET_FINISH_ATTENDANCE_KEY": "same", "PLUG_SECRET_RECEIVE_MESSAGE_KEY": "other"}
    }


def test_companies_use_the_same_name_for_values_with_the_same_role() -> None:
    """Then one URL in _defaults.yaml can replace all; a value that they share is written once."""
    companies = [
        ImportedCompany(name, webhooks={STATUS: f"https://h.example.com/?apiKey=of-{name}&common=x"})
        for name in ("a", "b")
    ]
    drafts = make_drafts(companies, rules(), allow_local=False)
    assert set(texts(drafts)) == {
        "https://h.example.com/?apiKey={secret:PLUG_SECRET_API_KEY}&common={secret:PLUG_SECRET_COMMON}"
    }
    assert drafts.own == {"a": {"PLUG_SECRET_API_KEY": "of-a"}, "b": {"PLUG_SECRET_API_KEY": "of-b"}}
    assert drafts.general == {"PLUG_SECRET_COMMON": "x"}
    assert drafts.count_secrets() == 3


def test_a_shared_value_never_takes_the_name_of_another_manifests_secret() -> None:
    """Otherwise that manifest would get this value in a merged secrets file. A value of one company may take it."""
    companies = [
        ImportedCompany(name, webhooks={STATUS: f"https://h.example.com/?key=of-{name}&v=x"}) for name in ("a", "b")
    ]
    drafts = make_drafts(companies, rules(taken="PLUG_SECRET_KEY PLUG_SECRET_V"), allow_local=False)
    assert drafts.general == {"PLUG_SECRET_MESSAGE_STATUS_V": "x"}
    assert drafts.own == {"a": {"PLUG_SECRET_KEY": "of-a"}, "b": {"PLUG_SECRET_KEY": "of-b"}}


def test_plain_keeps_a_value_or_a_parameter() -> None:
    """The expression must match the whole value or parameter; a name alone keeps nothing."""
    url = f"https://h.example.com/{KEY}?v=2&key=v"
    assert texts(draft(url, given=rules("2", KEY))) == [
        f"https://h.example.com/{KEY}?v=2&key={{secret:PLUG_SECRET_KEY}}"
    ]
    assert texts(draft(url, given=rules("v=.*", KEY)))[0].endswith("?v=2&key={secret:PLUG_SECRET_KEY}")
    assert texts(draft(url, given=rules("v", "key")))[0].endswith("?v={secret:PLUG_SECRET_V}&key=v")


def test_the_environments_own_name_is_not_a_secret() -> None:
    """The manifest's file has the same name."""
    assert texts(draft("https://h.example.com/?tenant=loja")) == ["https://h.example.com/?tenant=loja"]


def test_the_name_of_an_available_secret_is_used_again_and_never_for_another_value() -> None:
    """So a second import fits the secrets file of the first one."""
    url = "https://h.example.com/?key=long-enough&v=other-value"
    given = rules(known={"PLUG_SECRET_FIRST": "long-enough", "PLUG_SECRET_V": "something-else"})
    assert texts(draft(url, given=given)) == [
        "https://h.example.com/?key={secret:PLUG_SECRET_FIRST}&v={secret:PLUG_SECRET_FINISH_ATTENDANCE_V}"
    ]


def test_placeholders_of_a_csv_are_kept() -> None:
    """The other values become secrets."""
    drafts = draft("{base}/{environment}?key={secret:PLUG_SECRET_A}&x=1&h={host}", "https://{host}/{{x}}?{{=1")
    assert texts(drafts) == [
        "{base}/{environment}?key={secret:PLUG_SECRET_A}&x={secret:PLUG_SECRET_X}&h={host}",
        "https://{host}/{{x}}?{{={secret:PLUG_SECRET_X}",
    ]
    assert drafts.own == {"loja": {"PLUG_SECRET_X": "1"}}


def test_the_name_of_a_placeholder_is_not_given_to_another_value() -> None:
    """Otherwise the CSV's own secret would get that value."""
    drafts = draft("https://h.example.com/?key={secret:PLUG_SECRET_KEY}", "https://h.example.com/?key=v")
    assert drafts.own == {"loja": {"PLUG_SECRET_START_ATTENDANCE_KEY": "v"}}


def test_a_url_that_shows_a_secret_is_left_out() -> None:
    """An example is a key in the host. The reason names the flag that keeps the value."""
    drafts = draft("https://h.example.com/?h=hooks.example.com", "https://hooks.example.com/x")
    assert list(drafts.drafts[0].missing) == [START]
    assert "--plain" in drafts.drafts[0].missing[START]
    assert texts(draft("https://h.example.com/a-5ecret-token-a", given=rules(tokens=("5ecret-token",)))) == [
        "https://h.example.com/{secret:PLUG_SECRET_PATH}"
    ]


@pytest.mark.parametrize("part", ["{PLUG_SECRET_A}", "$PLUG_TOKEN_A", "{secrets.A}"])
def test_a_url_with_a_secret_that_another_tool_should_have_filled_in_is_left_out(part: str) -> None:
    """Plug holds the literal text, which `validate` refuses."""
    drafts = draft(f"https://h.example.com/{part.replace('{', '{{').replace('}', '}}')}")
    reason = "its URL names a secret or a token in the syntax of another tool"
    assert drafts.drafts[0].missing == {Event.FINISH_ATTENDANCE: reason}


def test_a_value_of_a_manifest_that_shows_a_secret_is_named() -> None:
    """The other values, and the keys that the manifest needs as they are, are not."""
    values = {"description": f"key {KEY}", "vars.shop": "centro", "vars.key": KEY, "account_id": KEY}
    company = ImportedCompany("loja", values, {STATUS: f"https://h.example.com/{KEY}"})
    drafts = make_drafts([company], rules(), allow_local=False)
    assert drafts.showing == (("loja", "description"), ("loja", "vars.key"))


def test_a_url_with_too_many_secrets_is_left_out() -> None:
    """`validate` would refuse the manifest."""
    drafts = draft("https://h.example.com/?" + "&".join(f"a{n}={n}" for n in range(51)))
    assert "more than 50 different names" in drafts.drafts[0].missing[Event.FINISH_ATTENDANCE]
    assert (texts(drafts), drafts.own) == ([], {})


def test_an_account_is_read_with_a_reason_for_each_event_that_it_lacks() -> None:
    """Braces are doubled. Only the host is shown of a URL that is not valid in a manifest."""
    account = parse_account(
        {
            "onStartAttendance": "https://h.example.com/{x}",
            "onFinishAttendance": None,
            "onReceiveMessage": "",
            "onSendingMessage": 7,
            "onMessageStatus": "https://user:pa55@h.example.com/s3cret",
        }
    )
    webhooks, missing = read_webhooks(account, allow_local=False)
    assert webhooks == {START: "https://h.example.com/{{x}}"}
    assert missing == {
        Event.FINISH_ATTENDANCE: "nothing is registered in Plug",
        RECEIVE: "nothing is registered in Plug",
        Event.SENDING_MESSAGE: "the account shows it as neither a text nor null",
        Event.MESSAGE_DELIVERY_ERROR: "the account doesn't show it",
        STATUS: "Plug holds https://h.example.com/…, which is not valid in a manifest: "
        "holds user information (an '@' before the path)",
        Event.WHEN_DISCONNECTING: "the partner API never shows it",
    }


def test_no_repr_shows_a_value() -> None:
    """A traceback or a failed assertion prints objects with repr."""
    company = ImportedCompany("loja", webhooks={STATUS: f"https://h.example.com/?key={KEY}"})
    drafts = make_drafts([company], rules(known={"PLUG_SECRET_X": KEY}, tokens=(KEY,)), allow_local=False)
    assert KEY not in repr((company, drafts, rules(known={"PLUG_SECRET_X": KEY}, tokens=(KEY,))))
