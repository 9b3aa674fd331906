"""Every error the program raises on purpose, and the exit code each stands for (CONTRACT §4).

    ReconcilerError
    ├── InputError            3  manifests, settings, policy, tokens, guards, usage: nothing sent or written
    ├── Declined              1  the answer to the question was no
    ├── OutputFailed          1  a result that stdout doesn't take
    │   └── ReaderGone           as its reader has gone: a pager, `head`
    ├── PostFailed            1  a comment, a status or an issue that GitHub didn't take
    │   └── TransientError       which may succeed at the next try: no answer, a fault of GitHub's, its rate limit
    └── StateError            4
        ├── Locked               another run's live intent
        ├── Conflict             a compare-and-swap that lost
        ├── Corrupt              a document that can't be read as one
        ├── NewerFormat          a document of a later version of this program
        ├── Unreachable          the store didn't answer, or refused
        └── StalePlan            a saved or expected plan that the world has moved on from

What happens to one environment in a run is data (an `Outcome`); what makes the run senseless is an
exception. A library's error is translated once, at its adapter's edge, with `raise … from`.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.problem import Problem


class ReconcilerError(Exception):
    """What happened, where, and what to do next, in words for the person on call."""


class InputError(ReconcilerError):
    """Invalid input. `problems` holds all of them, sorted; a plain text makes a single one."""

    def __init__(self, message: str = "", problems: Iterable[Problem] = ()) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))
        super().__init__(message or "\n".join(str(problem) for problem in self.problems))

    @classmethod
    def of(cls, key: str, message: str, hint: str = "") -> InputError:
        """One problem of a flag, a variable or an argument: `key` names it."""
        return cls(problems=[Problem.of(key, message, hint)])


class Declined(ReconcilerError):
    """A person was asked and said no."""


class OutputFailed(ReconcilerError):
    """The result was made, but can't be shown."""


class ReaderGone(OutputFailed):
    """Nobody reads stdout any more. No BrokenPipeError: click would end the process where it meets one."""


class PostFailed(ReconcilerError):
    """GitHub didn't take it, or didn't answer. `status` is its answer's, None without any."""

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class TransientError(PostFailed):
    """A failure that may be gone at the next try. `wait_s` is how long GitHub asks to wait, None without a word."""

    wait_s: float | None = None


class StateError(ReconcilerError):
    """The state can't be trusted or reached: nothing further is sent."""


class Locked(StateError):
    pass


class Conflict(StateError):
    pass


class Corrupt(StateError):
    pass


class NewerFormat(StateError):
    pass


class Unreachable(StateError):
    pass


class StalePlan(StateError):
    pass
