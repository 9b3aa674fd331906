"""One environment with the places of its values, as JSON (`show ENV`)."""

from __future__ import annotations

from typing import Any

from reconciler.formats.json_text import dump
from reconciler.model import Location, Origin, ResolvedEnvironment, ResolvedValue

ENVIRONMENT_FORMAT = "reconciler.environment/1"


def encode_environment(resolved: ResolvedEnvironment) -> str:
    """Encode `show ENV --format json`.

    `file` and `line` at the top are the manifest's. `values` has keys of a manifest, such as `api.base_url`, with
    their `origin`: `manifest` (or a _defaults.yaml), `file-name`, `setting` or `default`. `vars` says whether a webhook
    of the environment uses each var. `webhooks` has each `url` in its text form, and as it is `written` in the file.
    `file` and `line` are null if the file, or the line in it, is not known.
    """
    return dump(
        {
            "format": ENVIRONMENT_FORMAT,
            "environment": resolved.environment,
            **_place_out(resolved.source),
            "endpoint": resolved.endpoint,
            "values": [_value_out(value, resolved.source.file) for value in resolved.values],
            "vars": [
                {"name": var.name, "value": var.value, "used": var.used, **_place_out(var.source)}
                for var in resolved.vars
            ],
            "webhooks": [
                {
                    "event": webhook.event.value,
                    "url": webhook.url,
                    "written": webhook.written,
                    "vars": list(webhook.vars),
                    "secrets": list(webhook.secrets),
                    **_place_out(webhook.source),
                }
                for webhook in resolved.webhooks
            ],
        }
    )


def _value_out(value: ResolvedValue, manifest: str) -> dict[str, Any]:
    """Return a value. Its `setting` is the flag, the variable, or the key of the settings file."""
    place = value.setting
    out: dict[str, Any] = {"key": value.key, "value": value.value, "origin": value.origin.value}
    out["setting"] = None if place is None else place.key
    if value.origin is Origin.FILE_NAME:
        return {**out, "file": manifest, "line": None}
    if place is not None:
        return {**out, "file": place.file or None, "line": None}
    return {**out, **_place_out(value.source)}


def _place_out(source: Location | None) -> dict[str, Any]:
    return {"file": None, "line": None} if source is None else {"file": source.file, "line": source.line}
