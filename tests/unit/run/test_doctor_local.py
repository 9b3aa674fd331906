"""The items of `doctor` about state, tokens and secrets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import pytest
from msgspec.structs import replace

from reconciler.core.record import adopt
from reconciler.errors import Unreachable
from reconciler.model import By, Desired, Fingerprint, Head, Item, ItemState, Snapshot
from reconciler.plug.credentials import EnvironCredentials
from reconciler.ports import Changes, Shrink, Write, WriteAccess, keep_head
from reconciler.run.doctor_local import TokenQuestion, report_partner, report_secrets, report_state, report_tokens
from tests.acceptance.conftest import canary, make_jwt
from tests.fakes import START, make_desired
from tests.memory_store import MemoryStore

LOJA, MATRIZ = make_desired("loja", token_env="PLUG_TOKEN_LOJA"), make_desired("matriz", token_env="PLUG_TOKEN_MATRIZ")
ONE_DAY_S = 86_400.0


class Store(MemoryStore):
    """A store that can't be written, or can't be read."""

    access = WriteAccess(True, "in memory")
    near: str | None = None
    is_reachable = True

    def find_near(self) -> str | None:
        return self.near

    def find_write_access(self) -> WriteAccess:
        return self.access

    def read_changes(self, since: Snapshot | None = None, shrink: Shrink = keep_head) -> Changes:
        if not self.is_reachable:
            raise Unreachable("state: git:origin/x can't be reached: no network")
        return super().read_changes(since, shrink)


def states(items: list[Item] | tuple[Item, ...]) -> list[tuple[str, ItemState]]:
    return [(item.name, item.state) for item in items]


# --- the state -----------------------------------------------------------------------------------------------------


def test_documents_are_counted_and_write_access_is_checked() -> None:
    store = Store()
    document = adopt(None, LOJA, Fingerprint("org:1"), START, By("ana"), lineage="l")
    store.write([Write("loja", document, None)])
    store.documents["bad"] = b"{"
    found = report_state(store, "git:origin/x")
    assert found.items[0].message == "2 documents"
    assert states(list(found.items)) == [
        ("git:origin/x", ItemState.OK),
        ("bad", ItemState.WRONG),
        ("writable", ItemState.OK),
    ]
    assert set(found.heads) == {"loja"}


@pytest.mark.parametrize(("allowed", "state"), [(False, ItemState.WRONG), (None, ItemState.UNKNOWN)])
def test_a_read_only_state_is_wrong_and_one_that_does_not_say_is_unknown(
    allowed: bool | None, state: ItemState
) -> None:
    store = Store()
    store.access = WriteAccess(allowed, "why", "what to do")
    assert report_state(store, "x").items[-1].state is state
    assert report_state(store, "x").items[-1].hint == "what to do"


def test_a_state_that_can_not_be_read_is_an_item() -> None:
    """Tokens and secrets are still checked."""
    store = Store()
    store.is_reachable = False
    (item,) = report_state(store, "git:origin/x").items
    assert (item.state, item.message) == (ItemState.WRONG, "git:origin/x can't be reached: no network")


def test_an_empty_state_beside_one_of_a_near_name_may_be_a_slip() -> None:
    store = Store()
    assert report_state(store, "x").items[0].state is ItemState.OK
    store.near = "reconciler-state"
    item = report_state(store, "x").items[0]
    assert item.state is ItemState.UNKNOWN and "there is reconciler-state" in item.message


# --- tokens --------------------------------------------------------------------------------------------------------


def look(environ: Mapping[str, str], *desired: Desired, heads: Mapping[str, Head] | None = None) -> list[Item]:
    credentials = EnvironCredentials(environ)
    question = TokenQuestion(desired, heads or {}, START, 14 * ONE_DAY_S)
    items = report_tokens([one.environment for one in desired], question, credentials)
    shown = repr(items)
    assert not [value for value in environ.values() if value and value in shown]
    return items


def test_a_token_is_shown_by_its_company_and_its_end() -> None:
    ends_at = START + timedelta(days=30)
    (item,) = look({"PLUG_TOKEN_LOJA": make_jwt("42", exp=int(ends_at.timestamp()))}, LOJA)
    assert item.state is ItemState.OK
    assert item.message == "PLUG_TOKEN_LOJA: company 42, not pinned, until 2026-12-23T12:00:00Z"
    (item,) = look({"PLUG_TOKEN_LOJA": canary()}, LOJA)
    assert item.message == "PLUG_TOKEN_LOJA: an opaque token, which names no company"


def test_a_missing_token_has_the_command_to_set_it() -> None:
    (item,) = look({"PLUG_TOKEN_LOJA": ""}, LOJA)
    assert (item.state, item.hint) == (ItemState.MISSING, "export PLUG_TOKEN_LOJA=…")


@pytest.mark.parametrize(("days", "said"), [(-1, "; it ended at"), (13, "; it ends at")])
def test_a_token_that_ends_soon_is_wrong(days: int, said: str) -> None:
    """The setting token_warning decides, as in drift."""
    ends_at = START + timedelta(days=days)
    (item,) = look({"PLUG_TOKEN_LOJA": make_jwt("42", exp=int(ends_at.timestamp()))}, LOJA)
    assert item.state is ItemState.WRONG and said in item.message


def test_a_token_of_another_company_is_wrong() -> None:
    """It differs from the pin, from the last apply, or from that of another environment."""
    token = {"PLUG_TOKEN_LOJA": make_jwt("42")}
    (pinned,) = look(token, replace(LOJA, organization_id="7"))
    assert pinned.state is ItemState.WRONG and "7" in pinned.message
    (right,) = look(token, replace(LOJA, organization_id="42"))
    assert (right.state, right.message) == (ItemState.OK, "PLUG_TOKEN_LOJA: company 42, as the manifest says")
    applied = adopt(None, LOJA, Fingerprint("org:7"), START, By("ana"), lineage="l")
    store = MemoryStore()
    store.write([Write("loja", applied, None)])
    (changed,) = look(token, LOJA, heads=store.read_changes().heads)
    assert changed.state is ItemState.WRONG
    shared = look({**token, "PLUG_TOKEN_MATRIZ": make_jwt("42")}, LOJA, MATRIZ)
    assert ItemState.WRONG in {item.state for item in shared}


def test_a_malformed_token_is_wrong() -> None:
    (item,) = look({"PLUG_TOKEN_LOJA": f"Bearer {canary()}"}, LOJA)
    assert item.state is ItemState.WRONG and "begins with Bearer" in item.message


# --- secrets and the partner token -----------------------------------------------------------------------------------


def with_secret(desired: Desired) -> Desired:
    webhooks = {event: f"{url}?key={{secret:PLUG_SECRET_X}}" for event, url in desired.webhooks.items()}
    return replace(desired, secrets=("PLUG_SECRET_X",), webhooks=webhooks)


@pytest.mark.parametrize(
    ("value", "state", "said"),
    [
        (None, ItemState.MISSING, "not set, and webhooks of loja, matriz need it"),
        ("a b", ItemState.WRONG, "holds white space"),
        ("s3cret", ItemState.OK, "for 2 environments"),
    ],
)
def test_a_secret_is_an_item_for_all_that_use_it(value: str | None, state: ItemState, said: str) -> None:
    credentials = EnvironCredentials({} if value is None else {"PLUG_SECRET_X": value})
    (item,) = report_secrets([with_secret(LOJA), with_secret(MATRIZ)], credentials)
    assert (item.name, item.state) == ("PLUG_SECRET_X", state)
    assert said in item.message


def test_without_secrets_there_is_nothing_to_set() -> None:
    assert states(report_secrets([LOJA], EnvironCredentials({}))) == [("secrets", ItemState.OK)]


def test_the_partner_token_is_needed_where_an_account_can_be_read() -> None:
    observed = replace(LOJA, account_id="1-2", partner_base_url="https://api.plugchat.com.br")

    def look_at(desired: Desired, **environ: str) -> ItemState:
        credentials = EnvironCredentials(environ)
        return report_partner([desired], "PLUG_PARTNER_TOKEN", ["api.plugchat.com.br"], credentials).state

    assert look_at(LOJA) is ItemState.OK
    assert look_at(observed) is ItemState.MISSING
    assert look_at(observed, PLUG_PARTNER_TOKEN=canary()) is ItemState.OK
    assert look_at(observed, PLUG_PARTNER_TOKEN="a b") is ItemState.WRONG
