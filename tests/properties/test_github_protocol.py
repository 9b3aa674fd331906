"""The rules of docs/github.md hold for any order of merges, queued, cancelled and repeated runs, and other applies.

A state machine plays users and GitHub; see `github_model.py`. It checks the rules at every PUT and every comment, and
again when the queue is empty.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reconciler.core.guards import MaxChanged
from reconciler.core.protocol.endings import Ending
from reconciler.core.protocol.inputs import RunInputs
from reconciler.core.protocol.labels import Label, LabelSetting
from reconciler.core.protocol.markers import MarkState
from reconciler.core.protocol.schedule import Begin
from reconciler.core.protocol.steps import JobLayout, TokensFrom
from reconciler.model import Desired
from tests.conftest import examples
from tests.fakes import answer, no_answer, unsent
from tests.properties.github_model import DEFAULTS, LIMIT, WAVES, GitHub, Run, Tree, find_wants, make_fleet

NAMES = sorted(WAVES)
BEHAVIOURS = {
    "healthy": None,
    "lost answer": no_answer(acts=True),
    "lost request": no_answer(acts=False),
    "unsent": unsent,
    "refused": answer(401),
}
DONE = (Ending.APPLIED, Ending.AS_WANTED, Ending.SUPERSEDED, Ending.REMOVED)
VERSIONS = st.integers(0, 3)
CHANCE, RARE = st.integers(0, 4), 3  # These events are rare, because they would hide all others.
EDITS = st.dictionaries(st.sampled_from([DEFAULTS, *NAMES]), VERSIONS, min_size=1, max_size=2)


class Protocol(RuleBasedStateMachine):
    strict = True
    layout = JobLayout()

    @initialize()
    def begin_repository(self) -> None:
        """Begin with a first commit that was reviewed, merged and applied."""
        self.github = GitHub(self.strict, self.layout)
        self.checked = 0  # PUTs
        self.allowed: set[int] = set()  # The runs that may pass max_changed, by the identity of their attempt.
        self.vouched: set[tuple[str, str]] = set()  # What was sent by hand without a review.
        # There are enough environments that a change of the defaults doesn't trip max_changed.
        tree: Tree = {DEFAULTS: 1, "a": 0, "b": 0, "c": 1, "d": 2}
