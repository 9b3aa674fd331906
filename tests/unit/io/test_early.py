"""A call that is begun before its result is needed."""

from __future__ import annotations

import threading

import pytest

from reconciler.io.early import EarlyCall
from reconciler.io.progress import report_done, watching


def test_the_call_runs_while_the_caller_goes_on() -> None:
    gate = threading.Event()

    def wait() -> int:
        assert gate.wait(60)
        return 7

    early = EarlyCall(wait)
    gate.set()  # with a call in this thread, the gate would stay shut
    assert early.result() == 7


def test_an_error_is_raised_where_the_result_is_asked_for() -> None:
    def fail() -> None:
        raise KeyError("bad")

    early = EarlyCall(fail)
    with pytest.raises(KeyError, match="bad"):
        early.result()


def test_the_steps_of_the_call_are_reported_to_the_watcher_of_the_waiting_thread() -> None:
    shown = threading.Event()

    def count() -> bool:
        for _ in range(60_000):
            report_done(1, 2)
            if shown.wait(0.001):
                return True
        return False

    early = EarlyCall(count)
    with watching(lambda done, total, doing: shown.set()):
        assert early.result()


@pytest.mark.parametrize("fails", [False, True])
def test_what_follows_a_call_is_done_after_it(fails: bool) -> None:
    """Nothing waits for a call whose result is not needed."""
    gate, done, order = threading.Event(), threading.Event(), []

    def work() -> None:
        assert gate.wait(60)
        order.append("call")
        if fails:
            raise KeyError

    def follow() -> None:
        order.append("follow")
        done.set()

    early = EarlyCall(work)
    early.when_done(follow)
    assert order == []
    gate.set()
    assert done.wait(60)
    assert order == ["call", "follow"]
