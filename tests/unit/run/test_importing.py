"""The reads of `import`: all accounts, within the partner API's rate. A failed read is data, not an exception."""

from __future__ import annotations

from collections import deque
from types import TracebackType
from typing import Self

from reconciler.core.attempts import Attempt, Fate
from reconciler.core.partner_account import Account, parse_account
from reconciler.ports import AccountReading
from reconciler.run.importing import AccountReads
from reconciler.run.observe import ObserveOptions
from reconciler.run.pace import Pace
from tests.fakes import FakeClock

ACCOUNT = parse_account({"onMessageStatus": "https://h.example.com/"})
READ = AccountReading(Attempt(Fate.DEFINITE, 200, complete=True, message="read"), ACCOUNT)
UNKNOWN = AccountReading(Attempt(Fate.DEFINITE, 404, complete=True, message="404: there is no such account"))
SLOWER = AccountReading(Attempt(Fate.DEFINITE, 429, complete=True, retry_after_s=7, message="429: fewer"))


class FakeReader:
    """Answers each account from its own list, then with READ."""

    def __init__(self, scripts: dict[str, list[AccountReading]], clock: FakeClock) -> None:
        self._scripts = {account_id: deque(script) for account_id, script in scripts.items()}
        self._clock = clock
        self.read_at: list[tuple[str, float]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        pass

    async def read_account(self, account_id: str, base_url: str) -> AccountReading:
        assert base_url == "https://partner.example.com"
        self.read_at.append((account_id, self._clock.monotonic()))
        script = self._scripts.get(account_id)
        return script.popleft() if script else READ


def read(
    scripts: dict[str, list[AccountReading]], count: int, *, rate_limit: float | None = None
) -> tuple[dict[str, Account | str], FakeReader, list[tuple[int, int]]]:
    clock = FakeClock()
    reader = FakeReader(scripts, clock)
    reported: list[tuple[int, int]] = []
    options = ObserveOptions(3, attempts=3, deadline_s=60, report=lambda done, total: reported.append((done, total)))
    reads = AccountReads(lambda: reader, "https://partner.example.com", clock, options, Pace(clock, rate_limit))
    return dict(reads({f"e{number}": f"id-{number}" for number in range(count)})), reader, reported


def test_an_account_that_fails_is_a_reason_and_the_others_are_read() -> None:
    """The progress counts each of them."""
    found, _, reported = read({"id-1": [UNKNOWN]}, 4)
    assert found == {"e0": ACCOUNT, "e1": "404: there is no such account", "e2": ACCOUNT, "e3": ACCOUNT}
    assert reported == [(done, 4) for done in (1, 2, 3, 4)]


def test_a_429_is_read_again_when_plug_says_so() -> None:
    """It is not read before."""
    found, reader, _ = read({"id-0": [SLOWER]}, 1)
    (_, first), (_, second) = reader.read_at
    assert (found, second - first >= 7) == ({"e0": ACCOUNT}, True)


def test_reads_keep_to_the_rate_limit() -> None:
    """They are evenly spaced, whatever the concurrency."""
    _, reader, _ = read({}, 5, rate_limit=2)
    times = [at for _, at in reader.read_at]
    assert max(times) - min(times) >= 2.0


def test_without_accounts_nothing_is_opened() -> None:
    """No token is needed then."""
    assert read({}, 0)[0] == {}
