"""The text of a manifest that `import` writes (docs/contract.md#commands)."""

from __future__ import annotations

import re
from collections import defaultdict

from reconciler.core.imports import Draft
from reconciler.manifests.nodes import is_read_as_text
from reconciler.manifests.schema import Manifest
from reconciler.model import EVENTS
from reconciler.text.yaml_text import quote

_PLAIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_./ -]*[A-Za-z0-9_./-])?", re.ASCII)
_PLAIN_URL = re.compile(r"https?://[!-~]*[!-9;-~]", re.ASCII)  # with a colon at the end, it would be a key
_KEYS = tuple(Manifest.model_fields)
_ORDER = ("environment", *(key for key in _KEYS if key != "environment"))


def render_manifest(draft: Draft, origin: str) -> str:
    """Return the manifest as YAML. `origin` says where its webhooks come from; events without a URL are comments."""
    values = {"environment": draft.environment, **draft.values}
    grouped: dict[str, dict[str, str | int]] = defaultdict(dict)
    for key, value in values.items():
        head, _, rest = key.partition(".")
        grouped[head][rest] = value
    lines = [f"# Written by `reconciler import`, {origin}."]
    for key in _ORDER:
        if "" in grouped[key]:
            lines.append(f"{key}: {_render(grouped[key][''])}")
        elif grouped[key]:
            lines.append(f"{key}:")
            lines += [f"  {_render(name)}: {_render(value)}" for name, value in grouped[key].items()]
    return "\n".join([*lines, *_render_webhooks(draft)]) + "\n"


def _render_webhooks(draft: Draft) -> list[str]:
    lines = []
    for event in EVENTS:
        if event in draft.webhooks:
            lines.append(f"  {event}: {_render(draft.webhooks[event])}")
        elif event in draft.missing:
            lines.append(f"  # {event}: write its URL here; {' '.join(draft.missing[event].split())}")
    if not lines:
        return []
    return ["webhooks:" if draft.webhooks else "# webhooks:", *lines]


def _render(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    is_plain = _PLAIN_URL.fullmatch(value) or (_PLAIN.fullmatch(value) and is_read_as_text(value))
    return value if is_plain else quote(value)
