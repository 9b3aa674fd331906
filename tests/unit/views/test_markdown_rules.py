"""A changed rule is never shown with equal texts before and after, and the gravest are never left out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.workflow.change import Loosening, SettingChange, SettingValue, find_watched_paths
from reconciler.views.markdown_parts import MAX_CHARS
from reconciler.views.markdown_rules import render_rules

HOSTS = tuple(f"hooks{number}.a-long-name-of-a-company.com.br" for number in range(40))
SUMMARY_CHARS = 900_000


def show(before: SettingValue, after: SettingValue, max_chars: int = MAX_CHARS) -> str:
    _, text = render_rules(Loosening((SettingChange("x", before, after),)), "", max_chars=max_chars)
    return text.removeprefix("- the setting `x`: ")


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (HOSTS, (*HOSTS, "*.evil.io"), "`+ *.evil.io`"),
        (HOSTS, HOSTS[:-1], f"`- {HOSTS[-1]}`"),
        (("a.com",), ("b.com", "c.com"), "`+ b.com`, `+ c.com`, `- a.com`"),
        ((), ("x.com",), "`+ x.com`"),
        (("a.com", "b.com"), ("b.com", "a.com", "a.com"), "the same entries in another order or number"),
        (("a.com",), "all", "`a.com` → `all`"),
        ("all", (), "`all` → `[]`"),
    ],
)
def test_a_list_is_shown_by_what_was_added_and_removed(before: SettingValue, after: SettingValue, shown: str) -> None:
    """An entry at the end of a long list would otherwise be cut."""
    assert show(before, after) == shown


def test_more_entries_than_fit_are_counted_and_all_are_in_the_summary() -> None:
    """The first is shown in any case."""
    assert re.fullmatch(r"`\+ hooks0[^`]*`, .*, `\+ hooks\d+[^`]*` and \d+ more entries", show((), HOSTS))
    assert show((), HOSTS, SUMMARY_CHARS).count("`+ ") == len(HOSTS)
    (long,) = re.findall(r"`\+ (.*)`", show((), ("x" * 2000 + ".evil.io",)))
    assert long.endswith("x.evil.io") and len(long) < 1000


def test_a_long_text_is_cut_around_the_difference() -> None:
    before, after = f"s3://bucket/{'a' * 900}/b/{'c' * 900}", f"s3://bucket/{'a' * 900}/evil/{'c' * 900}"
    assert show(before, after) == f"`…{'a' * 19}/b/{'c' * 19}…` → `…{'a' * 19}/evil/{'c' * 19}…`"


_TEXTS = st.text("ab./", max_size=30).map(lambda text: text.replace(".", "c" * 90))


@given(before=_TEXTS, after=_TEXTS)
def test_before_and_after_never_look_the_same(before: str, after: str) -> None:
    """However long the parts are that they share."""
    if before == after:
        return
    shown_before, shown_after = show(before, after, 10_000).split(" → ")
    assert shown_before != shown_after
    assert max(len(shown_before), len(shown_after)) < 200


def test_workflows_code_owners_and_attributes_come_before_other_files() -> None:
    """Two hundred templates don't hide them, nor do twenty long settings. The summary has all."""
    templates = [f".github/ISSUE_TEMPLATE/{number:03}.md" for number in range(400)]
    grave = (".github/actions/x/action.yml", ".github/workflows/apply.yml", ".github/CODEOWNERS", "a/.gitattributes")
    paths = find_watched_paths([*templates, *grave, "z.md"])
    assert paths[:4] == grave
    settings = tuple(SettingChange(f"s{number}", "a" * 9000, "b" * 9000) for number in range(20))
    _, text = render_rules(Loosening(settings, paths=paths), "", max_chars=MAX_CHARS)
    assert all(f"- `{path}`" in text for path in grave)
    assert len(re.findall(r"^- … and \d+ more changes: the summary of this check has more room$", text, re.M)) == 2
    _, text = render_rules(Loosening(paths=paths), "", max_chars=SUMMARY_CHARS)
    assert all(f"- `{path}`" in text for path in paths)
