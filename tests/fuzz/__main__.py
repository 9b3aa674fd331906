"""A coverage-guided fuzzer over the YAML and the URL path: `python -m tests.fuzz yaml --seconds 60`.

Needs atheris, which is in no lock: it has wheels for few platforms (`make fuzz` installs it). What it finds is in
build/fuzz as crash-…, timeout-… or oom-…: fix the fault, and keep the input as a seed.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

SLOWEST_S = 10  # a file of a manifest's size takes milliseconds: beyond this it is a hang
LONGEST_BYTES = 4096


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=("yaml", "urls"))
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--out", type=Path, default=Path("build/fuzz"), help="for the corpus and what was found")
    given = parser.parse_args()
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not installed: there are wheels for Linux on x86-64, up to Python 3.13 (`make fuzz`)")
    # Only our own code: to count the libraries' branches would take half of the speed.
    with atheris.instrument_imports(include=["reconciler"]):
        from tests.fuzz.targets import TARGETS, seeds_of, words_of
    corpus = given.out / given.target
    corpus.mkdir(parents=True, exist_ok=True)
    for seed in seeds_of(given.target):
        shutil.copy(seed, corpus)
    dictionary = given.out / f"{given.target}.dict"
    dictionary.write_text("".join(f'"{word}"\n' for word in words_of(given.target)), encoding="utf-8")
    options = [
        f"-max_total_time={given.seconds}",
        f"-timeout={SLOWEST_S}",
        f"-max_len={LONGEST_BYTES}",
        f"-dict={dictionary}",
        f"-artifact_prefix={corpus.parent}/",
        "-print_final_stats=1",
        "-rss_limit_mb=2048",
    ]
    atheris.Setup([sys.argv[0], *options, str(corpus)], TARGETS[given.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
