"""Every format that a command offers has a view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.cli import render
from reconciler.cli.options import FORMATS, RESULT_FORMATS, SUMMARY, Form

NOTHING: Any = None  # no view is rendered


@pytest.mark.parametrize(
    ("show", "offered"),
    [
        (lambda: render.show_plan(NOTHING, Form(), NOTHING), (*RESULT_FORMATS, SUMMARY)),
        (lambda: render.show_result(NOTHING, Form(), NOTHING), RESULT_FORMATS),
        (lambda: render.show_drift(NOTHING, NOTHING, Form(), NOTHING), RESULT_FORMATS),
        (lambda: render.show_check(NOTHING, Form(), NOTHING), RESULT_FORMATS),
        (lambda: render.show_validation(NOTHING, NOTHING, None, Form(), NOTHING), RESULT_FORMATS),
        (lambda: render.show_state_list(NOTHING, NOTHING, Form(), NOTHING), FORMATS),
        (lambda: render.show_document(NOTHING, NOTHING, Form(), NOTHING), FORMATS),
        (lambda: render.show_history(NOTHING, Form(), NOTHING), FORMATS),
        (lambda: render.show_environment(NOTHING, Form(), NOTHING), ("text", "json")),
        (lambda: render.show_doctor(NOTHING, Form(), NOTHING), ("text", "json")),
    ],
)
def test_every_format_that_is_offered_has_its_view(
    show: Callable[[], None], offered: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[set[str]] = []
    monkeypatch.setattr(render, "_show", lambda views, _form, _session: shown.append(set(views)))
    show()
    assert shown == [set(offered)]
