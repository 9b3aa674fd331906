"""The entry point. `--version` is answered here, before anything heavier than sys is imported."""

from __future__ import annotations

import contextlib
import os
import sys

from reconciler.io.signals import end_on_signals


def main() -> None:
    _fill_standard_streams()
    end_on_signals()
    for stream in (sys.stdout, sys.stderr):
        # a terminal or log that knows no UTF-8 gets escapes, not a crash
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if sys.argv[1:] == ["--version"]:
        code = _show_version()
    else:
        from reconciler.cli.main import run

        code = run(sys.argv[1:])
    _leave(code)


def _fill_standard_streams() -> None:
    """Where one was closed (`2>&-`), the next file to be opened would get its number, and what is said to it."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one


def _show_version() -> int:
    from reconciler import __version__

    try:
        print(f"reconciler {__version__}", flush=True)  # noqa: T201
    except OSError as error:
        with contextlib.suppress(OSError):
            os.write(2, f"error: the result can't be written to stdout: {error.strerror}\n".encode())
        return 1
    return 0


def _leave(code: int) -> None:
    """Without the interpreter's own end: there a signal would find its default, and the code would be another."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
