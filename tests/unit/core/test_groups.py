"""Groups of environments that are alike; every host is still shown (docs/contract.md#plan)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from reconciler.core.groups import (
    Group,
    find_new_hosts,
    find_unchanged_hosts,
    group_alike,
    list_hosts,
    list_observed_hosts,
)
from reconciler.core.host_uses import HostUse, find_hosts
from reconciler.model import Action, AuthScheme, BodyForm, EnvironmentPlan, Event, LiveDifference, Reason
from reconciler.text.alike import Filled
from tests.golden.samples import create, plan_of, planned, update
from tests.golden.samples import documents as samples_documents

NAMES = [f"cliente-{number:02}" for number in range(6)]


def _urls(group: Group) -> list[str]:
    return [change.after for change in group.representative.changes]


def test_five_alike_are_shown_one_by_one() -> None:
    """Only more than five make a group."""
    environments = [create(name) for name in NAMES[:5]]
    assert group_alike(plan_of(*environments), {}) == [
        Group((one,), one, (HostUse("hooks.acme.com.br", (one.environment,), is_new=False, is_usual=True),))
        for one in environments
    ]


def test_six_alike_are_one_group_with_placeholders() -> None:
    """The environment's name is written as {environment}."""
    (group,) = group_alike(plan_of(*(create(name) for name in NAMES)), {})
    assert group.environments == tuple(NAMES)
    assert _urls(group) == [f"https://hooks.acme.com.br/plug/{{environment}}/{event}" for event in Event]


def test_vars_that_differ_are_written_as_their_name_and_shared_ones_as_they_are() -> None:
    """A host that differs in each environment becomes a placeholder; a host that all share stays."""
    environments = [update(name, "old.com.br", f"h{at}.{name}.com.br") for at, name in enumerate(NAMES)]
    variables = {name: {"host": f"h{at}.{name}.com.br", "plug": "plug"} for at, name in enumerate(NAMES)}
    (group,) = group_alike(plan_of(*environments), variables)
    assert _urls(group)[0] == "https://{host}/plug/{environment}/finishAttendance"
    assert group.representative.changes[0].before == "https://old.com.br/plug/{environment}/finishAttendance"


def test_the_values_of_a_group_s_placeholders_are_listed_the_rarest_first() -> None:
    """A value that no shown URL has, or that all share, is left out."""
    zaps = ["b7", "b7", "b7", "o1", "b7", "b7"]
    environments = [update(name, "old.com.br", f"com.br/{zap}/sul") for name, zap in zip(NAMES, zaps, strict=True)]
    variables = {name: {"zap": zap, "region": "sul", "unused": name} for name, zap in zip(NAMES, zaps, strict=True)}
    (group,) = group_alike(plan_of(*environments), variables)
    rare, others = (("zap", "o1"),), (("zap", "b7"),)
    assert group.values == (Filled(rare, (NAMES[3],)), Filled(others, (*NAMES[:3], *NAMES[4:])))
    alone = group_alike(plan_of(*environments[:5]), variables)
    assert [one.values for one in alone] == [()] * 5


def test_a_name_within_a_word_does_not_split_a_group() -> None:
    """`plu`, `hook` and `a` occur in every URL and may be names of environments."""
    names = ["acm", "plu", "hook", "a", "finish", "e"]
    (group,) = group_alike(plan_of(*(create(name) for name in names)), {})
    assert group.environments == tuple(sorted(names))


def test_a_name_joined_to_a_word_is_found_too() -> None:
    """Values are first searched for as whole words, then anywhere."""
    (group,) = group_alike(plan_of(*(update(name, "a.com", f"{name}corp.com") for name in NAMES)), {})
    assert _urls(group)[0] == "https://{environment}corp.com/plug/{environment}/finishAttendance"


def test_other_changes_actions_and_reasons_are_not_alike() -> None:
    """A seventh environment that differs is alone, in the plan's order."""
    others: list[EnvironmentPlan] = [
        create("b-other"),
        update("c-other", "v1.com", "v3.com"),
        replace(update("d-other", "v1.com", "v2.com"), reasons=(Reason.WEBHOOKS_CHANGED, Reason.SECRET_CHANGED)),
    ]
    groups = group_alike(plan_of(*others, *(update(name, "v1.com", "v2.com") for name in NAMES)), {})
    assert [len(group.members) for group in groups] == [1, 1, 6, 1]


def test_every_environment_that_is_put_is_in_one_group() -> None:
    """No environment is lost or repeated; unchanged ones and orphans are in no group."""
    environments = [
        *(update(name, "v1.com", "v2.com", wave=at) for at, name in enumerate(NAMES)),
        *(planned(f"r{number}", Action.REASSERT, Reason.REQUESTED) for number in range(7)),
        create("new"),
        planned("same", Action.NOOP),
        planned("gone", Action.ORPHAN),
    ]
    groups = group_alike(plan_of(*environments), {})
    members = sorted(member.environment for group in groups for member in group.members)
    assert members == sorted(one.environment for one in environments if one.action.puts)


def test_live_differences_are_compared_too() -> None:
    """Equal drift of a whole fleet is one group."""
    live = [
        planned(
            name,
            Action.REASSERT,
            Reason.LIVE_DRIFT,
            live=(LiveDifference(Event.MESSAGE_STATUS, f"https://evil.com/{name}"),),
        )
        for name in NAMES
    ]
    (group,) = group_alike(plan_of(*live), {})
    assert group.representative.live == (LiveDifference(Event.MESSAGE_STATUS, "https://evil.com/{environment}"),)


def test_vars_are_not_marked_in_the_urls_that_plug_holds() -> None:
    """A URL that was registered by hand is not made from a template. Its hosts are listed."""

    def live(name: str, actual: str) -> EnvironmentPlan:
        expected = f"https://h.com/{name}.io"
        return planned(
            name, Action.REASSERT, Reason.LIVE_DRIFT, live=(LiveDifference(Event.MESSAGE_STATUS, actual, expected),)
        )

    variables = {name: {"tag": f"{name}.io"} for name in NAMES} | {NAMES[5]: {"tag": "evil.io"}}
    alone = [live(name, f"https://{variables[name]['tag']}/x") for name in NAMES]
    assert [one.representative.live[0].actual for one in group_alike(plan_of(*alone[5:]), variables)] == [
        "https://evil.io/x"
    ]
    named = [live(name, f"https://{name}.io/x") for name in NAMES]
    (group,) = group_alike(plan_of(*named), variables | {NAMES[5]: {"tag": f"{NAMES[5]}.io"}})
    assert group.representative.live[0].actual == "https://{environment}.io/x"
    assert [use.host for use in group.observed] == [f"{name}.io" for name in NAMES]
    assert not any(use.is_usual for use in group.observed)
    assert len(group_alike(plan_of(*alone), variables)) == 6


def test_without_live_drift_there_are_no_observed_hosts() -> None:
    assert list_observed_hosts([create("a")]) == ()


def test_environments_with_other_secrets_are_not_alike() -> None:
    """A var whose value equals a secret's name doesn't hide that another secret would be sent."""

    def secret(name: str, key: str) -> EnvironmentPlan:
        return update(name, "v1.com", f"v2.com/{key}?k={{secret:{key}}}")

    keys = dict.fromkeys(NAMES, "PLUG_SECRET_RECEIVE") | {"other": "PLUG_SECRET_PAYMENTS"}
    variables = {name: {"key": key} for name, key in keys.items()}
    alone, group = sorted(
        group_alike(plan_of(*(secret(name, key) for name, key in keys.items())), variables),
        key=lambda one: len(one.members),
    )
    assert alone.environments == ("other",)
    assert group.environments == tuple(NAMES)
    keys = {name: f"PLUG_SECRET_{at}" for at, name in enumerate(NAMES)}
    variables = {name: {"key": key} for name, key in keys.items()}
    assert len(group_alike(plan_of(*(secret(name, key) for name, key in keys.items())), variables)) == 6


def test_an_unclosed_brace_is_ordinary_text() -> None:
    """The state may have been edited by hand."""
    (group,) = group_alike(plan_of(*(update(name, f"{{secret:{name}", "v2.com") for name in NAMES)), {})
    assert group.representative.changes[0].before == "https://{secret:{environment}/plug/{environment}/finishAttendance"


def test_environments_with_another_destination_are_not_alike() -> None:
    """A group does not hide that a token goes elsewhere; the names of the tokens' variables may differ."""

    def with_part(name: str, **parts: Any) -> EnvironmentPlan:
        one = update(name, "v1.com", "v2.com")
        assert one.destination is not None
        own = f"PLUG_TOKEN_{name.upper().replace('-', '_')}"
        return replace(one, destination=replace(one.destination, token_env=own, **parts))

    others = [
        with_part("a", endpoint="https://app.plugchat.com.br/api/integrations/update-webhooks"),
        with_part("b", body=BodyForm.VALUE),
        with_part("c", auth_scheme=AuthScheme.BEARER),
        replace(with_part("c2"), endpoint_before="https://app.plugchat.com.br/"),
    ]
    groups = group_alike(plan_of(*others, *(with_part(name) for name in NAMES)), {})
    assert [len(group.members) for group in groups] == [1, 1, 1, 1, 6]


# --- hosts -----------------------------------------------------------------------------------------


def _at(*hosts: str) -> list[EnvironmentPlan]:
    """Return one environment for each text, with webhooks at its hosts, which blanks separate."""
    return [
        planned(f"e{at}", Action.REASSERT, Reason.REQUESTED, unchanged=tuple(host.split()))
        for at, host in enumerate(hosts)
    ]


def test_a_group_shows_the_host_of_a_single_different_var() -> None:
    """80 environments share a template, and one fills in another host: it is listed first, by name."""
    names = [f"cliente-{number:02}" for number in range(80)]
    hosts = dict.fromkeys(names, "hooks.acme.com.br") | {"cliente-17": "elsewhere.example.net"}
    environments = [update(name, f"v1.{host}", host) for name, host in hosts.items()]
    variables = {name: {"host": host} for name, host in hosts.items()}
    plan = replace(plan_of(*environments), new_hosts=("elsewhere.example.net",))
    (group,) = group_alike(plan, variables)
    assert _urls(group)[0] == "https://{host}/plug/{environment}/finishAttendance"
    assert [(use.host, len(use.environments), use.is_new, use.is_usual) for use in group.hosts] == [
        ("elsewhere.example.net", 1, True, False),
        ("hooks.acme.com.br", 79, False, True),
    ]
    assert group.hosts[0].environments == ("cliente-17",)


def test_new_hosts_come_first_then_those_of_the_most_environments() -> None:
    uses = list_hosts(_at("b", "b", "a", "n", "c", "c", "c"), frozenset({"n"}))
    assert [use.host for use in uses] == ["n", "c", "b", "a"]


def test_only_a_host_of_all_or_the_most_frequent_of_a_majority_needs_no_names() -> None:
    """If each environment has its own host, one that two share is named, as a reader does not expect it."""

    def usual(*hosts: str) -> list[str]:
        return [use.host for use in list_hosts(_at(*hosts), frozenset()) if use.is_usual]

    assert usual("a", "a", "b") == ["a"]
    assert usual("a", "a", "b", "b", "c") == []
    assert usual("a", "a", "b", "c") == []
    assert usual("a b", "a b", "a b c") == ["a", "b"]
    assert usual() == []


def test_a_host_that_most_have_names_the_others() -> None:
    """`all but e2` is shorter than most of the names."""
    uses = {use.host: use for use in list_hosts(_at("a b", "a b", "a c"), frozenset())}
    assert uses["b"].others == ("e2",)
    assert (uses["a"].others, uses["c"].others) == ((), ())
    assert not uses["b"].is_usual


def test_hosts_are_compared_in_lower_case_and_with_their_port() -> None:
    urls = ["https://A.com/x", "https://a.com?y", "https://a.com:8443/x", "https://[2001:db8::1]:444/", "https://a.com"]
    assert find_hosts(urls) == ("[2001:db8::1]:444", "a.com", "a.com:8443")


def test_a_host_that_no_applied_record_has_is_new() -> None:
    """An intent is not a record. Without any record no host is new, as every one would be."""
    documents = samples_documents()
    applied = documents["settled"]
    known = find_hosts(applied.applied.webhooks.values() if applied.applied else ())
    environments = _at(" ".join(known), "new.com")
    assert known
    assert find_new_hosts(environments, [applied]) == ("new.com",)
    assert find_new_hosts(environments, [replace(applied, applied=None)]) == ()
    assert find_new_hosts(environments, []) == ()


def test_the_hosts_of_unchanged_webhooks_are_found() -> None:
    changed = replace(update("a", "v1.com", "v2.com"), hosts=("other.com:1", "v2.com"))
    assert find_unchanged_hosts(changed) == ("other.com:1",)
    assert find_unchanged_hosts(create("a")) == ()
