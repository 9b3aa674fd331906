"""The results of `doctor` as JSON (docs/contract.md#commands)."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.formats.json_text import dump
from reconciler.model import Item

DOCTOR_FORMAT = "reconciler.doctor/1"


def encode_doctor(items: Sequence[Item]) -> str:
    """Encode `doctor --format json`. `ok` is false if an item is missing or wrong."""
    return dump(
        {
            "format": DOCTOR_FORMAT,
            "ok": not any(item.fails for item in items),
            "items": [
                {
                    "area": item.area.value,
                    "name": item.name,
                    "state": item.state.value,
                    "message": item.message,
                    "hint": item.hint,
                }
                for item in items
            ],
        }
    )
