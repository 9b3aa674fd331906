"""The first job of an apply run."""

from __future__ import annotations

from reconciler.cli.step import Step


def begin(step: Step) -> int:
    raise NotImplementedError
