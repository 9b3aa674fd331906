"""The report's data, as a whole document, against the file stored beside this one.

After a change that is meant: `pytest tests/golden --update-golden`, then read the diff.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.views.report.data import collect_environments, make_data, make_rows
from tests.golden import report_samples

STORED = Path(__file__).parent / "stored_report"


@pytest.mark.parametrize("name", report_samples.reports())
def test_the_data_of_the_page_is_what_is_stored(name: str, request: pytest.FixtureRequest) -> None:
    """There is a line for each table and each environment."""
    report = report_samples.reports()[name]
    reported = collect_environments(report)
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in make_data(report).items()]
    lines += [json.dumps(row) for row in make_rows(report, reported)]
    path = STORED / f"{name}.txt"
    if request.config.getoption("--update-golden"):
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    assert "\n".join(lines) + "\n" == path.read_text(encoding="utf-8")


def test_every_stored_file_has_a_report() -> None:
    """A removed fleet leaves no file behind."""
    assert {path.stem for path in STORED.iterdir()} == set(report_samples.reports())
