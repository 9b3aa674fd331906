"""Plan files and results that another job or another user wrote."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reconciler.formats.any_result import decode_any
from reconciler.formats.check_file import decode_check
from reconciler.formats.json_text import FormatError
from reconciler.formats.runner import make_outputs
from reconciler.model import EVENTS
from reconciler.sandbox.server import serve_in_thread
from tests import json_view
from tests.fuzz.hostile import CANARY, PIECES, as_json, bounded, drive, mutated, refused_or, spliced
from tests.golden import samples

WORDS = [piece.encode() for piece in PIECES] + [b"[", b"{", b"}", b'"', b"null", b"\xff", b"\\ud800", b"9" * 5000]
WEBHOOKS = "".join(f"  {event}: https://hooks.acme.com.br/{{environment}}/{event}\n" for event in EVENTS)


@dataclass(frozen=True)
class Planned:
    folder: Path
    environ: dict[str, str]
    saved: Any


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planned]:
    """A folder whose plan for two environments is saved, and a Plug that counts what it is sent."""
    folder = tmp_path_factory.mktemp("planned")
    (folder / "manifests").mkdir()
    (folder / "manifests/_defaults.yaml").write_text("webhooks:\n" + WEBHOOKS)
    for name in ("loja", "matriz"):
        (folder / f"manifests/{name}.yaml").write_text("wave: 1\n")
    with serve_in_thread() as plug:
        environ = {"RECONCILER_API__BASE_URL": plug.base_url, "GITHUB_ACTOR": "ana", "GITHUB_SHA": "c0ffee"}
        environ |= {"PLUG_TOKEN_LOJA": "token-1", "PLUG_TOKEN_MATRIZ": "token-2"}
        assert drive(folder, environ, "apply", "--yes", "-e", "loja").code == 0
        (folder / "manifests/loja.yaml").write_text(
            "wave: 1\nwebhooks: {messageStatus: 'https://hooks.acme.com.br/2'}\n"
        )
        assert drive(folder, environ, "plan", "--out", "plan.json").code == 0
        requests = plug.plug.requests
        yield Planned(folder, environ, json.loads((folder / "plan.json").read_text()))
        assert plug.plug.requests == requests, "something was sent"


@bounded
@given(data=st.data())
def test_an_edited_plan_file_is_refused(planned: Planned, data: st.DataObject) -> None:
    """The exit code is 3 or 4, and nothing is sent."""
    edited = data.draw(mutated(planned.saved))
    if json.dumps(edited, sort_keys=True) == json.dumps(planned.saved, sort_keys=True):
        return
    path = planned.folder / "edited.json"
    path.write_bytes(as_json(edited))
    assert drive(planned.folder, planned.environ, "apply", "--yes", "edited.json").code in (3, 4)
    with contextlib.suppress(FormatError):
        assert all(len(value.splitlines()) == 1 for value in make_outputs(decode_any(path.read_bytes())).values())


RESULTS = [
    json.loads(text)
    for text in (
        *map(json_view.render_plan, samples.plans().values()),
        *map(json_view.render_result, samples.results().values()),
        *map(json_view.render_drift, samples.drifts().values()),
        *map(json_view.render_check, samples.checks().values()),
        *(json_view.render_validation(*one) for one in samples.validations().values()),
    )
]
# A secret as a key: at the top of a plan, among its counts, and in a receiver of a check.
RESULTS_WITH_A_FOREIGN_KEY = [
    as_json({**json.loads(json_view.render_plan(samples.plans()["mixed"])), CANARY: 1}),
    as_json({**json.loads(json_view.render_plan(samples.plans()["mixed"])), "summary": {CANARY: "x"}}),
    as_json({"format": "reconciler.check/1", "receivers": [{CANARY: 1}]}),
]


@bounded
@given(
    st.sampled_from(RESULTS).flatmap(mutated).map(as_json)
    | st.sampled_from(RESULTS).flatmap(lambda one: spliced(as_json(one), WORDS))
)
@example(RESULTS_WITH_A_FOREIGN_KEY[0])
@example(RESULTS_WITH_A_FOREIGN_KEY[1])
@example(RESULTS_WITH_A_FOREIGN_KEY[2])
def test_a_result_is_valid_or_refused(data: bytes) -> None:
    """It is read by a workflow's step, and as the report's file of receivers."""
    refused_or(lambda: make_outputs(decode_any(data)), FormatError)
    refused_or(lambda: decode_check(data), FormatError)
