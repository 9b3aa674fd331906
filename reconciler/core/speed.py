"""How fast a run gets on, and how much longer it takes: from a few moments of its count."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

SPAN_S = 30.0  # what lies further back says nothing about now
STEP_S = 1.0


@dataclass(slots=True)
class Speed:
    """Fed with the count of what is done at moments of a clock that never goes back, in seconds."""

    _seen: deque[tuple[float, int]] = field(default_factory=deque)  # a moment a second, at most

    def note(self, done: int, now: float) -> None:
        if self._seen and now - self._seen[-1][0] < STEP_S:
            return
        self._seen.append((now, done))
        while now - self._seen[0][0] > SPAN_S and len(self._seen) > 1:
            self._seen.popleft()

    def rate(self, done: int, now: float) -> float | None:
        """A second, of late; None while nothing can be said."""
        if not self._seen or now - self._seen[0][0] < STEP_S:
            return None
        since, before = self._seen[0]
        return (done - before) / (now - since)


def time_left(seconds: float) -> str:
    """`40 s`, `12 min`, `1 h 05 min`: rounded up, as nobody minds to be done sooner."""
    whole = max(1, int(seconds + 0.999))
    if whole < 90:
        return f"{whole} s"
    minutes = -(-whole // 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"
