"""The payload of a JWT. It is a hint, never proof: the signature can't be checked."""

from __future__ import annotations

import binascii
import json
from typing import Any

ORGANIZATION_CLAIM = "organizationId"


def read_payload(text: str) -> dict[str, Any]:
    """Return the payload of a JWT; empty if the text is not a JWT."""
    parts = text.split(".")
    if len(parts) != 3:
        return {}
    padded = parts[1].replace("-", "+").replace("_", "/") + "=" * (-len(parts[1]) % 4)
    try:
        value = json.loads(binascii.a2b_base64(padded))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
