"""The entry point. `--version` is answered here, before anything heavier than sys is imported."""

from __future__ import annotations

import sys


def main() -> int:
    if sys.argv[1:] == ["--version"]:
        from reconciler import __version__

        print(f"reconciler {__version__}")  # noqa: T201
        return 0
    from reconciler.cli.main import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
