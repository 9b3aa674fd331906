"""The log of -v: what it shows of this package, and what it masks even if it is logged by mistake."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator

import pytest

from reconciler.cli.log import StepLog

TOKEN = "canary-token-of-the-log"
logger = logging.getLogger("reconciler.run.somewhere")


@pytest.fixture
def log() -> Iterator[StepLog]:
    shown = StepLog({"PLUG_TOKEN_LOJA": TOKEN, "RECONCILER_TOKENS_FILE": "tokens.yaml", "HOME": "/home/ana"})
    shown.start(1)
    yield shown
    shown.stop()


def test_a_line_has_its_time_and_its_message(log: StepLog, capsys: pytest.CaptureFixture[str]) -> None:
    """It is on stderr, escaped, and one line."""
    logger.info("read %s in %.1f s", "a\nb\x1b[2J", 0.25)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} read a\\nb\\x1b\[2J in 0\.2 s\n", err), err


def test_a_token_that_is_logged_by_mistake_is_masked(log: StepLog, capsys: pytest.CaptureFixture[str]) -> None:
    """It is in a variable, or in a file that is read later; a path in a setting is shown."""
    log.hide(["of the/tokens-file"])
    logger.info("%s, %s and %s of tokens.yaml in /home/ana", TOKEN, "of the/tokens-file", "of%20the%2Ftokens-file")
    assert capsys.readouterr().err.endswith(" ***, *** and *** of tokens.yaml in /home/ana\n")


def test_two_flags_show_more(log: StepLog, capsys: pytest.CaptureFixture[str]) -> None:
    """Each -v counts, before and after the command."""
    logger.debug("detail")
    assert capsys.readouterr().err == ""
    log.start(1)
    logger.debug("detail")
    assert capsys.readouterr().err.count("detail") == 1


def test_a_wrong_call_neither_raises_nor_shows_its_arguments(log: StepLog, capsys: pytest.CaptureFixture[str]) -> None:
    """The standard library would print them with a traceback."""
    log.handle(logging.makeLogRecord({"msg": "%d documents", "args": ("of-an-argument",)}))
    err = capsys.readouterr().err
    assert err.endswith(" %d documents\n") and "of-an-argument" not in err


def test_no_other_package_is_logged(log: StepLog, capsys: pytest.CaptureFixture[str]) -> None:
    """Its messages may quote what was sent."""
    for name in ("httpx", "httpcore.http11", "asyncio"):
        logging.getLogger(name).error("quoted")
    assert not re.search(r"\d\.\d{3} quoted", capsys.readouterr().err)


def test_after_its_stop_the_log_shows_nothing(log: StepLog, capsys: pytest.CaptureFixture[str]) -> None:
    """The next command in this process has no -v."""
    log.stop()
    logger.info("a step")
    assert "a step" not in capsys.readouterr().err
    assert not logger.isEnabledFor(logging.INFO)
