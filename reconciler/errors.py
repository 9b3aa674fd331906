"""The errors that end a command, and their exit codes (docs/contract.md#commands).

    ReconcilerError
    ├── InputError            3  manifests, settings, policy, tokens, guards, usage: nothing sent or written
    │   └── InvalidManifests         problems of manifests alone, which `validate` lists
    ├── Declined              1  the answer to the question was no
    ├── OutputFailed          1  a result that can't be written
    │   └── ReaderGone           because nothing reads stdout any more: a pager or `head` has ended
    ├── PostFailed            1  a comment, a status or an issue that GitHub did not accept
    │   ├── NotPermitted         a request to GitHub for which the token lacks the permission
    │   └── TransientError       a failure that a retry may fix: no answer, an error of GitHub's, its rate limit
    └── StateError            4
        ├── Locked               another run's live intent
        ├── Conflict             a compare-and-swap that lost
        ├── Corrupt              a document that can't be read as one
        ├── NewerFormat          a document of a later version of this program
        ├── SeveralUnreadable    more than one document that can't be read
        ├── Unreachable          the store didn't answer, or refused
        └── StalePlan            a saved or expected plan that no longer matches the manifests or the state

What happens to one environment in a run is data (an `Outcome`); an exception ends the whole run. A library's error is
translated once, by the adapter that called it, with `raise … from`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.model import Intent, Problem


class ReconcilerError(Exception):
    """An error whose text says what happened, where, and what to do next, for the person on call."""


class InputError(ReconcilerError):
    """Invalid input. `problems` has every problem, sorted and shortened; it is empty if there is only a message."""

    def __init__(self, message: str = "", problems: Iterable[Problem] = ()) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problem.shortened() for problem in problems))
        super().__init__(message or "\n".join(str(problem) for problem in self.problems))

    @classmethod
    def of(cls, key: str, message: str, hint: str = "") -> InputError:
        """Return an error with one problem of a flag, a variable or an argument, which `key` names."""
        from reconciler.model import Problem  # late: every command imports this module, and few raise an error

        return cls(problems=[Problem.of(key, message, hint)])


class InvalidManifests(InputError):
    """Manifests with problems, all of which `reconciler validate` lists too."""


class Declined(ReconcilerError):
    """The user answered no to a question."""


class OutputFailed(ReconcilerError):
    """The result was made, but can't be shown or written."""


class ReaderGone(OutputFailed):
    """Nothing reads stdout any more. It is not a BrokenPipeError, at which click would end the process itself."""


class PostFailed(ReconcilerError):
    """GitHub refused a request or did not answer it. `status` is the status of its answer; None without an answer."""

    def __init__(self, message: str, status: int | None = None) -> None:
        self.status = status
        super().__init__(message)


class NotPermitted(PostFailed):
    """The token lacks a permission for a request. `permission` is its name, in GitHub's words."""

    def __init__(self, permission: str, status: int) -> None:
        self.permission = permission
        super().__init__(f"this token may not ask: it takes the permission {permission}", status)


class TransientError(PostFailed):
    """A failure that a retry may fix. `wait_s` is how long GitHub asks to wait; None if it did not say."""

    wait_s: float | None = None


class StateError(ReconcilerError):
    """The state can't be trusted or reached: nothing further is sent."""


class Locked(StateError):
    """Another run has a live intent. `intent` says who, since when and until when."""

    def __init__(self, environment: str, intent: Intent, message: str) -> None:
        self.environment = environment
        self.intent = intent
        super().__init__(message)


class Conflict(StateError):
    """A compare-and-swap that lost. The default message is the one that stores use."""

    def __init__(self, environment: str, message: str = "") -> None:
        self.environment = environment
        super().__init__(message or f"state of {environment}: another run wrote it in between")


class Corrupt(StateError):
    """A document that can't be read as one. It never counts as a missing one.

    `version` is the store's version of it, for a compare-and-swap that removes it; None if it must not be removed.
    """

    def __init__(self, message: str, version: str | None = None) -> None:
        self.version = version
        super().__init__(message)


class NewerFormat(StateError):
    """A document of a later version of this program."""


class SeveralUnreadable(StateError):
    """More than one of the documents that were asked for can't be read. `faults` and the text have each error."""

    def __init__(self, faults: Sequence[StateError]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


class Unreachable(StateError):
    """The store did not answer, or refused."""


class StalePlan(StateError):
    """A saved or expected plan differs from the one made now. `differences` has a line for each difference."""

    def __init__(self, message: str, differences: Sequence[str] = ()) -> None:
        self.differences = tuple(differences)
        super().__init__(message)
