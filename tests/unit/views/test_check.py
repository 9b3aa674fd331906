"""Checks of a large fleet stay readable in every view."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model import EVENTS, CheckResult, CheckStage
from reconciler.views import markdown, text
from tests.golden.samples import HOSTILE, checked

REFUSED: dict[str, Any] = {"ok": False, "stage": CheckStage.CONNECT, "status": None, "latency_s": None}


@pytest.mark.parametrize("hosts", [1, 30, 600])
def test_the_markdown_of_any_fleet_fits(hosts: int) -> None:
    """The rows that are left out are counted."""
    result = CheckResult(
        tuple(
            checked(f"{number}", event, f"h{number % hosts:05}.acme.com.br", **how, environments=(f"loja-{number}",))
            for number in range(600)
            for event in EVENTS[:2]
            for how in ({**REFUSED, "message": f"refused {HOSTILE}"}, dict[str, Any](warning=f"late {number}"))
        )
    )
    page = markdown.render_check(result)
    assert len(page) <= markdown.MAX_CHARS
    assert page.startswith("## Check: 2,400 receivers: 1,200 passed, 1,200 failed; 600 warnings.\n")
    if hosts == 600:
        assert "more failed: `--format json` lists all" in page
        assert "more hosts" in page


def test_receivers_of_one_host_that_fail_alike_are_shown_once() -> None:
    """More than five share a row. One that fails in another way has its own, above what passed."""
    alike = [
        checked(f"{number}", environments=(f"loja-{number}",), **REFUSED, message="refused") for number in range(6)
    ]
    other = checked("x", environments=("loja-9",), ok=False, status=500, message="answered 500")
    page = text.render_check(CheckResult((checked("good"), *alike, other)), colour=False)
    lines = page.splitlines()
    assert lines[0].split() == ["!", "connect", "6", "receivers", "alike", "hooks.acme.com.br:443"]
    assert lines[1:3] == ["    refused", "    loja-0, loja-1, loja-2, loja-3, loja-4, loja-5"]
    assert lines[3].split()[:4] == ["!", "500,", "0.12", "s"]
    assert page.index("answered 500") < page.index("Passed:")


def test_the_text_of_a_large_fleet_is_bounded() -> None:
    """Some receivers that passed are shown and the rest is counted; the summary is the last line."""
    result = CheckResult(tuple(checked(f"{number}", host=f"h{number}.acme.com.br") for number in range(500)))
    lines = text.render_check(result, colour=False).splitlines()
    assert len(lines) < 60
    assert "  … and 480 more" in lines
    assert lines[-1] == "Check: 500 receivers: 500 passed."


def test_of_hundreds_of_faults_and_warnings_the_first_are_shown() -> None:
    """Each has its own kind, so none can be grouped; the rest is counted."""
    failing = [checked(f"{number}", **REFUSED, message=f"refused {number}") for number in range(130)]
    late = [checked(f"late-{number}", warning=f"late {number}") for number in range(33)]
    lines = text.render_check(CheckResult((*failing, *late)), colour=False).splitlines()
    assert sum(line.startswith("! ") for line in lines) == 100
    assert "… and 30 more failed: --format json lists all" in lines
    warnings = lines[lines.index("Warnings:") : lines.index("Passed:")]
    assert (len([line for line in warnings if "late" in line]), warnings[21]) == (20, "  … and 13 more")
    assert lines[-1] == "Check: 163 receivers: 33 passed, 130 failed; 33 warnings."
