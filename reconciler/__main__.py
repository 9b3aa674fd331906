"""The entry point. `--version` is answered here, before anything heavier than sys is imported."""

# No `from __future__ import …` here or in __init__.py: that is an import too, and the working directory must be off
# the path before the first one.
import os
import sys


def _forget_working_directory() -> None:
    """Take away the working directory that `python -m` puts first on the path: a checkout may hold a click.py.

    If the package itself was imported from there, the folder goes last, so that installed packages win. What Python
    imports before it gets here (contextlib, on 3.11) still comes from there: only the command `reconciler` and
    `python -P -m reconciler` are safe in a checkout of others.
    """
    if sys.flags.safe_path or not sys.path:
        return
    try:
        here = os.getcwd()  # noqa: PTH109 - nothing may be imported yet
    except OSError:  # the folder is gone, and Python has put nothing on the path for it
        return
    if sys.path[0] not in ("", here):
        return
    first = sys.path.pop(0)
    own = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    if os.path.normcase(own) == os.path.normcase(here):
        sys.path.append(first)


if __name__ == "__main__":
    _forget_working_directory()

import contextlib  # noqa: E402

from reconciler.io.signals import clean_up_rest, end_on_signals  # noqa: E402


def main() -> None:
    # Windows looks for programs in the working directory first: a checkout may hold a git.exe
    os.environ.setdefault("NoDefaultCurrentDirectoryInExePath", "1")
    _fill_standard_streams()
    end_on_signals()
    _set_up_streams()
    if sys.argv[1:] == ["--version"]:
        code = _show_version()
    else:
        from reconciler.cli.main import run

        code = run(sys.argv[1:])
    _leave(code)


def _fill_standard_streams() -> None:
    """Open each stream that was closed (`2>&-`): the next file to be opened would get its number and its text."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one


def _set_up_streams() -> None:
    """Write escapes, and don't crash, where a terminal or log has no UTF-8; the same bytes in a file on every system.

    Without getuid (Windows), Python writes files and pipes in the country's code page and with "\\r\\n".
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is None or not hasattr(stream, "reconfigure"):
            continue
        stream.reconfigure(errors="backslashreplace")
        if not hasattr(os, "getuid") and not stream.isatty():
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


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
    """End without the interpreter's own clean-up: a signal would find its default there and change the code."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    clean_up_rest()  # the folder of a read that nothing has waited for
    os._exit(code)


if __name__ == "__main__":
    main()
