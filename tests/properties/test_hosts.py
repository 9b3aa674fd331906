"""Every host that an apply would send to Plug, and every host that a token would go to, is on the page, or is counted
if it doesn't fit (docs/contract.md#plan)."""

from __future__ import annotations

import html
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.core.planner import PlanInput, make_plan
from reconciler.core.record import adopt
from reconciler.core.where import find_apis
from reconciler.model import EVENTS, By, Desired, Fingerprint, Head, Location, Plan, Where
from reconciler.views import annotations as github
from reconciler.views import markdown, text
from tests.conftest import examples
from tests.fakes import START, make_desired

ENDPOINTS = ("www.plugchat.com.br",) * 8 + ("app.plugchat.com.br", "127.0.0.1:8787")
SAME_PLACE = Location("manifests/_defaults.yaml", 4, 3)


@dataclass(frozen=True, slots=True)
class Fleet:
    """A plan, the values filled in, the hosts in the webhooks, and the hosts of their destinations."""

    plan: Plan
    filled: dict[str, dict[str, str]]
    hosts: frozenset[str]
    endpoints: frozenset[str]  # The hosts that a token would go to.


def make_fleet(seed: int, size: int, pool: int) -> Fleet:
    """Return environments with hosts of a pool, most with one template, some applied before with other hosts."""
    chance = random.Random(seed)
    length = chance.choice((1, 60))  # Long names fill a page with few environments.
    words = ("hooks", "a", "plug-1", "x_y", "h" * length)
    hosts = [
        f"{chance.choice(words)}{at}.{'ac' * (length // 2 + 1)}.com{chance.choice(('', ':8443'))}" for at in range(pool)
    ]
    environments = [_make_environment(chance, f"c{at}", hosts) for at in range(size)]
    heads = {one.environment: head for one in environments if (head := _make_head(chance, one, hosts)) is not None}
    given_input = PlanInput(START, requested=chance.random() < 0.3)
    plan = make_plan(environments, heads, lambda _: Fingerprint(), given_input)
    names = {planned.environment for planned in plan.environments if planned.action.puts}
    putting = [one for one in environments if one.environment in names]
    sent = frozenset(url.split("/")[2].lower() for one in putting for url in one.webhooks.values())
    endpoints = frozenset(one.endpoint.split("/")[2] for one in putting)
    plan = replace(plan, where=Where("file:state", len(heads), find_apis(environments)))
    return Fleet(plan, {one.environment: dict(one.vars) for one in environments}, sent, endpoints)


def _make_environment(chance: random.Random, name: str, hosts: list[str]) -> Desired:
    host = hosts[0] if chance.random() < 0.5 else chance.choice(hosts)
    other = chance.choice(hosts) if chance.random() < 0.2 else host
    webhooks = {event: f"https://{other if at == 6 else host}/{name}/{event}" for at, event in enumerate(EVENTS)}
    return replace(
        make_desired(name),
        webhooks=webhooks,
        endpoint=f"https://{chance.choice(ENDPOINTS)}/api/integrations/update-webhooks",
        vars={"host": host, "other": other},
        sources=dict.fromkeys(EVENTS, SAME_PLACE),
    )


def _make_head(chance: random.Random, one: Desired, hosts: list[str]) -> Head | None:
    how = chance.random()
    if how < 0.2:
        return None
    old = one
    if how < 0.8:
        changed = EVENTS if how < 0.6 else EVENTS[:1]
        host = chance.choice(hosts[: len(hosts) // 2 + 1])
        old = replace(one, webhooks={**one.webhooks, **{event: f"https://{host}/old/{event}" for event in changed}})
    return adopt(None, old, Fingerprint(), START, By(), lineage="l")


fleets = st.builds(make_fleet, st.integers(0, 2**32), st.sampled_from((1, 7, 30, 200)), st.sampled_from((1, 3, 400)))


def shown_hosts(page: str, hosts: frozenset[str], *, before: str) -> Iterator[str]:
    """Yield the hosts on the page, without lines that begin with `before`: those show hosts that are removed."""
    kept = "\n".join(line for line in html.unescape(page).splitlines() if not line.lstrip().startswith(before))
    for host in hosts:
        if re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|[.:]\w)", kept):
            yield host


@settings(max_examples=examples(20))
@given(fleet=fleets)
def test_every_host_that_is_sent_is_in_the_text(fleet: Fleet) -> None:
    """Changed or not, in a group or alone, it is shown."""
    page = text.render_plan(fleet.plan, fleet.filled, colour=False)
    assert set(shown_hosts(page, fleet.hosts, before="before ")) == fleet.hosts
    assert set(shown_hosts(page, fleet.endpoints, before="before ")) == fleet.endpoints


@settings(max_examples=examples(20))
@given(fleet=fleets, max_chars=st.sampled_from((14_000, 20_000, 65_000)))
def test_every_host_that_is_sent_is_in_the_markdown_or_counted(fleet: Fleet, max_chars: int) -> None:
    """The page stays within its length, and counts exactly what it leaves out."""
    page = markdown.render_plan(fleet.plan, fleet.filled, max_chars=max_chars)
    assert len(page) <= max_chars
    counted = re.search(r"more hosts?, of which ([0-9,]+) (?:is|are) not shown here", page)
    missing = fleet.hosts - set(shown_hosts(page, fleet.hosts, before="- https://"))
    assert len(missing) == (int(counted[1].replace(",", "")) if counted else 0)
    assert set(shown_hosts(page, fleet.endpoints, before="- https://")) == fleet.endpoints


@settings(max_examples=examples(20))
@given(fleet=fleets)
def test_every_host_that_is_sent_is_in_an_annotation_or_counted(fleet: Fleet) -> None:
    page = github.render_plan(fleet.plan, path_of=str)
    counted = re.search(r"… and ([0-9,]+) more hosts?: see the log", page)
    missing = fleet.hosts - set(shown_hosts(page.replace("%0A", "\n"), fleet.hosts, before="before "))
    assert len(missing) == (int(counted[1].replace(",", "")) if counted else 0)
    assert all(len(line.partition("::")[2].replace("%0A", "\n")) <= 4_096 + 100 for line in page.splitlines())
