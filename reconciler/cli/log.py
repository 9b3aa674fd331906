"""`-v` and `-vv`: each step on stderr, through the standard library's logging (docs/contract.md#commands)."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from reconciler.cli.output import write_aside
from reconciler.settings.flags import PREFIX
from reconciler.text.escape import for_terminal
from reconciler.text.hidden_values import HiddenValues

LOGGER = "reconciler"  # only this package, as the log of a library may quote a header or a body
LEVELS = (logging.INFO, logging.DEBUG)  # for -v and -vv
MIN_HIDDEN = 8  # characters of a variable's value that is hidden only for the variable's name
_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|KEY")


class StepLog(logging.Handler):
    """Writes a line `HH:MM:SS.mmm message` for each step, escaped for the terminal, without tokens and secrets.

    No caller logs a token or secret. The mask is a second protection, for example against a server that echoes one.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__()
        self._hidden = HiddenValues()
        self.verbosity = 0
        self.hide(
            value
            for name, value in environ.items()
            if len(value) >= MIN_HIDDEN and _SECRET_NAME.search(name) and not name.startswith(PREFIX)
        )

    def hide(self, values: Iterable[str]) -> None:
        """Mask these values from the next line on, also in their percent-encoded form."""
        for value in values:
            self._hidden.hide((value, quote(value, safe="", errors="replace")))

    def start(self, verbosity: int) -> None:
        """Show the steps from now on. Each `-v` adds detail, also over several calls."""
        self.verbosity += verbosity
        logger = logging.getLogger(LOGGER)
        logger.setLevel(LEVELS[min(self.verbosity, len(LEVELS)) - 1])
        logger.propagate = False
        if self not in logger.handlers:
            logger.addHandler(self)

    def stop(self) -> None:
        """Restore the logger."""
        logger = logging.getLogger(LOGGER)
        logger.removeHandler(self)
        logger.setLevel(logging.NOTSET)
        logger.propagate = True

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):  # a wrong call must not end an apply, nor show its arguments
            text = str(record.msg)
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        write_aside(f"{at}.{int(record.msecs):03} {for_terminal(self._hidden.mask(text))}\n")
