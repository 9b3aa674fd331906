"""Settings as text, to be compared and shown."""

from __future__ import annotations

from functools import reduce

from reconciler.settings.fields import FLAGS, Settings
from reconciler.settings.sources import GROUPS
from reconciler.text.counts import decimal


def describe_settings(settings: Settings) -> dict[str, str | tuple[str, ...]]:
    """Return each setting by its name, such as `api.base_url`, as users write it; a list with its entries.

    No setting is a secret.
    """
    return {
        path: _describe(reduce(getattr, path.split("."), settings), flag.default)
        for path, flag in FLAGS.items()
        if path not in GROUPS
    }


def _describe(value: object, default: str) -> str | tuple[str, ...]:
    if value is None:
        return default or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return value
    return decimal(value) if isinstance(value, float) else str(value)
