"""Temporary folders that are also removed if a signal ends the process."""

from __future__ import annotations

import os
import tempfile

from reconciler.io.signals import forget_clean_up, remember_clean_up


class TemporaryFolder(tempfile.TemporaryDirectory[str]):
    """A temporary folder, for `with`. It may hold tokens' names and state, so nothing of it is left behind."""

    def __init__(self, prefix: str) -> None:
        super().__init__(prefix=prefix)
        remember_clean_up(self._remove_at_end)

    def cleanup(self) -> None:
        forget_clean_up(self._remove_at_end)
        super().cleanup()

    def _remove_at_end(self) -> None:
        os.chdir(os.path.dirname(self.name))  # noqa: PTH120 - Windows removes no working directory
        super().cleanup()
