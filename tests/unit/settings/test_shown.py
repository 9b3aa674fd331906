"""Settings as users write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.settings.fields import FLAGS
from reconciler.settings.load import load_settings
from reconciler.settings.shown import describe_settings
from reconciler.settings.sources import GROUPS


def test_every_setting_is_described_by_its_default(tmp_path: Path) -> None:
    """The default has the form of the help; a group is described by its settings."""
    shown = describe_settings(load_settings({}, str(tmp_path), {}).settings)
    assert shown.keys() == FLAGS.keys() - GROUPS
    some = (
        "max_changed",
        "policy.allowed_hosts",
        "policy.denied_hosts",
        "timeout",
        "allow_local_receivers",
        "api.body",
    )
    assert [shown[name] for name in some] == ["50%", "all", (), "30", "false", "flat"]


def test_what_is_given_is_described_as_it_is_written(tmp_path: Path) -> None:
    given = {"max_changed": "7", "policy.denied_hosts": "a.com,b.com", "max_age": "36h"}
    shown = describe_settings(load_settings({}, str(tmp_path), given).settings)
    assert [shown[name] for name in given] == ["7", ("a.com", "b.com"), "129600"]


@pytest.mark.parametrize(
    ("name", "given", "described"),
    [
        ("max_age", "90d", "7776000"),
        ("max_age", "7776000.5", "7776000.5"),
        ("rate_limit", "0.000000001", "0.000000001"),
        ("max_changed", "1000000", "1000000"),
        ("max_changed", "12.345%", "12.345%"),
    ],
)
def test_a_number_has_all_its_digits_and_no_exponent(tmp_path: Path, name: str, given: str, described: str) -> None:
    """A review compares the descriptions, and the user may write them as they are shown."""
    for written in (given, described):
        shown = describe_settings(load_settings({}, str(tmp_path), {name: written}).settings)
        assert shown[name] == described
