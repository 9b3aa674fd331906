"""`reconciler github run result`: the last job of an apply run."""

from __future__ import annotations
