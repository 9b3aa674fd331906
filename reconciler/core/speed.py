"""The speed of a run and the time that is left, from its recent counts."""

from __future__ import annotations

from collections import deque

from msgspec import Struct, field

SPAN_S = 30.0  # older counts are dropped
STEP_S = 1.0  # between two counts that are kept


class Speed(Struct):
    """The speed of a run. Its moments are seconds of a clock that never goes back."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)  # (moment, count)

    def note(self, done: int, now: float) -> None:
        """Note the number of environments that are done at `now`."""
        if self._seen and now - self._seen[-1][0] < STEP_S:
            return
        self._seen.append((now, done))
        while now - self._seen[0][0] > SPAN_S and len(self._seen) > 1:
            self._seen.popleft()

    def rate(self, done: int, now: float) -> float | None:
        """Return how many are done a second; None while it is not known."""
        if not self._seen or now - self._seen[0][0] < STEP_S:
            return None
        since, before = self._seen[0]
        return (done - before) / (now - since)


def time_left(seconds: float) -> str:
    """Return a time such as `40 s`, `12 min`, `1 h 05 min`, rounded up."""
    whole = max(1, int(seconds + 0.999))
    if whole < 90:
        return f"{whole} s"
    minutes = -(-whole // 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
