"""The text of the report's page: what may act in it, the size of its data, and what is masked."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import zlib
from html.parser import HTMLParser
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.model import EVENTS, By, Event, HistoryEntry
from reconciler.text.commits import shorten_commit
from reconciler.text.escape import for_page
from reconciler.views.report import render_report
from reconciler.views.report.data import find_addresses
from tests.golden import report_samples

NAMES = list(report_samples.reports())


class Elements(HTMLParser):
    """Collects every start tag, and the text of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str | None, str]] = []  # tag, type, text
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        tag, attributes = self.tags[-1] if self.tags else ("", {})
        if tag in ("script", "style") and data.strip():
            self.raw.append((tag, attributes.get("type"), data))


def data_of(page: str) -> Any:
    packed = next(text for _, kind, text in Elements(page).raw if kind == "application/zlib")
    return json.loads(zlib.decompress(base64.b64decode(packed)))


@pytest.mark.parametrize("name", NAMES)
def test_the_page_holds_nothing_that_acts_or_fetches(name: str) -> None:
    """There is one style, one script and one block of data; no handler, no style attribute, no address to load."""
    page = Elements(render_report(report_samples.reports()[name]))
    assert [(tag, kind) for tag, kind, _ in page.raw] == [
        ("style", None),
        ("script", "application/zlib"),
        ("script", None),
    ]
    for tag, attributes in page.tags:
        assert tag not in ("img", "link", "iframe", "object", "embed", "base", "a", "video", "audio", "source")
        assert not [key for key in attributes if key.startswith("on") or key in ("style", "src", "href", "action")]


@pytest.mark.parametrize("name", NAMES)
def test_the_policy_allows_only_this_style_and_this_script(name: str) -> None:
    """It names them by their hashes."""
    page = Elements(render_report(report_samples.reports()[name]))
    policy = next(
        attributes["content"]
        for tag, attributes in page.tags
        if attributes.get("http-equiv") == "Content-Security-Policy"
    )
    hashes = {
        tag: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for tag, kind, text in page.raw
        if not kind
    }
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_page_is_harmless_as_a_text_too(name: str) -> None:
    """It is ASCII without control characters, and no line is a workflow command."""
    page = render_report(report_samples.reports()[name])
    assert page.isascii()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", page)
    assert "##[" not in page
    assert not any(line.lstrip().startswith("::") for line in page.splitlines())
    assert page.endswith("</html>\n")


def test_hostile_values_are_whole_and_visible_in_the_data() -> None:
    """Nothing is lost, nothing is hidden, and nothing in the data ends its element."""
    page = render_report(report_samples.hostile())
    assert page.count("</script>") == 2
    assert page.count("<script") == 2
    data = data_of(page)
    shown = for_page(report_samples.HOSTILE)
    assert "\\u202e\\u200b\\x1b[31m\\x07\\r\\n::error::x\\n##[group]y\\u2028" in shown
    loja = next(row for row in data["environments"] if row[0] == "loja")
    assert loja[1] == shown
    assert loja[8][0] == f"https://a.b/{shown}"
    assert loja[7][1] == [shown, shown, shown, None, None]  # neither a commit nor a run by its looks
    assert data["checks"][0][1] == shown


def test_the_data_of_a_large_fleet_takes_little_room() -> None:
    """Seventy thousand URLs are nearly equal, so packed they take a fraction of their length."""
    report = report_samples.every_standing()
    client = next(one for one in report.plan.environments if one.environment == "cliente-03")
    names = [f"cliente-{number:05}" for number in range(2000)]
    many = replace(
        report,
        plan=replace(report.plan, environments=tuple(replace(client, environment=name) for name in names)),
        desired={name: replace(report.desired["cliente-03"], environment=name) for name in names},
        documents={name: replace(report.documents["cliente-03"], environment=name) for name in names},
    )
    page = render_report(many)
    data = data_of(page)
    assert len(data["environments"]) == 2000
    assert len(page) < len(json.dumps(data)) / 10


def test_a_url_that_may_show_a_secret_is_masked_everywhere() -> None:
    """A key that was in the manifest before it became a secret is in the state's history, but not on the page."""
    report = report_samples.every_standing()
    name = "cliente-01"
    document = report.documents[name]
    plain = {
        **dict.fromkeys(EVENTS, "https://x.y/z"),
        Event.RECEIVE_MESSAGE: "https://old.acme.com.br/r?key=canary-k3y",
    }
    history = (*document.history, HistoryEntry(report.made_at, By(), plain))
    intent = report.documents["loja-duvida"].intent
    assert document.applied is not None
    assert intent is not None
    applied = replace(document.applied, webhooks={**document.applied.webhooks, **plain})
    changed = replace(document, applied=applied, intent=replace(intent, webhooks=plain), history=history)
    data = data_of(render_report(replace(report, documents={**report.documents, name: changed})))
    assert "canary-k3y" not in json.dumps(data)
    assert "https://old.acme.com.br/…" in json.dumps(data, ensure_ascii=False)


def test_only_commits_and_runs_are_linked() -> None:
    """Other values, and those without a repository, stay text."""
    sha, home = "0123456789abcdef0123456789abcdef01234567", "https://github.com/acme/plug"
    assert find_addresses(home, By("a", sha, "17/2")) == (f"{home}/commit/{sha}", f"{home}/actions/runs/17/attempts/2")
    assert find_addresses(home, By("a", sha[:7], "17")) == (f"{home}/commit/{sha[:7]}", f"{home}/actions/runs/17")
    assert find_addresses(None, By("a", sha, "17/2")) == (None, None)
    for text in ("", "HEAD", "../../evil", f"{sha}\n", "javascript:1", "c0ffee", None):
        assert find_addresses(home, By("a", text, text)) == (None, None)


def test_the_list_without_scripts_is_bounded() -> None:
    """A large fleet lists at most five hundred environments that are not in sync, and counts the others."""
    report = report_samples.every_standing()
    document = report.documents["cliente-01"]
    wanted, planned, documents = dict(report.desired), list(report.plan.environments), dict(report.documents)
    orphan = next(one for one in planned if one.environment == "antiga")
    for place in range(600):
        name = f"gone-{place:03}"
        documents[name] = replace(document, environment=name)
        planned.append(replace(orphan, environment=name))
    plan = replace(report.plan, environments=tuple(planned))
    page = render_report(replace(report, plan=plan, desired=wanted, documents=documents))
    listing = page[page.index("<noscript>") : page.index("</noscript>")]
    assert listing.count("<tr>") == 501
    assert "Environments that need a look" in listing
    assert "And 113 more: <code>reconciler drift</code>" in listing
    assert "cliente-03" not in listing


def test_a_commit_that_the_manifests_differed_from_is_linked_without_its_plus() -> None:
    """The link leads to the commit; the text keeps the plus, also if it is shortened."""
    commit, _ = find_addresses("https://github.com/acme/plug", By(commit=f"{'0123456789' * 4}+"))
    assert commit == f"https://github.com/acme/plug/commit/{'0123456789' * 4}"
    assert shorten_commit(f"{'0123456789' * 4}+") == "012345678901+"
    assert shorten_commit("c0ffee+") == "c0ffee+"


def bar_of(page: str) -> list[str]:
    """Return the standings of the bar at the top, from left to right."""
    return [str(attributes["class"]).removeprefix("s-") for tag, attributes in Elements(page).tags if tag == "rect"]


def test_failing_receivers_show_in_the_bar() -> None:
    """A fleet whose receivers all fail isn't green, although Plug holds the right URLs."""
    report = report_samples.every_standing()
    (name,) = [one.environment for one in report.plan.environments if one.environment == "production"]
    planned = tuple(one for one in report.plan.environments if one.environment == name)
    failing = replace(report, plan=replace(report.plan, environments=planned))
    assert bar_of(render_report(failing)) == ["failing"]
    assert "failing" in bar_of(render_report(report))


def test_the_page_says_that_totals_overlap() -> None:
    """Their sum is more than the fleet, which a reader may notice."""
    page = render_report(report_samples.every_standing())
    assert "The totals overlap: " in page
    assert " counted in more than one." in page
    assert "The totals overlap" not in render_report(report_samples.reports()["empty"])


def test_a_failed_read_is_not_a_missing_token() -> None:
    """The accounts that --observe could not read are in the findings. What was not available is listed."""
    report = report_samples.every_standing()
    environments = tuple(replace(one, unchecked=("account", "live")) for one in report.plan.environments[:1])
    rest = tuple(replace(one, unchecked=("live",)) for one in report.plan.environments[1:])
    page = render_report(replace(report, plan=replace(report.plan, environments=environments + rest)))
    assert "1 environment compared by text alone" in page
    assert [row[13] for row in data_of(page)["environments"]] == [["account"], *([] for _ in rest)]
