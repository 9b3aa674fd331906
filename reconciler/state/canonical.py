"""The canonical encoding of JSON, so that the diff of a state document can be reviewed."""

from __future__ import annotations

import codecs
from json.encoder import encode_basestring_ascii
from typing import Any

import msgspec

_ENCODER = msgspec.json.Encoder(order="sorted", enc_hook=dict)  # the hook is for mappings that are not dicts
_ESCAPED = "reconciler.escaped"  # the name of an error handler


def encode_canonically(value: Any) -> bytes:
    """Return JSON in ASCII with sorted keys, an indent of two spaces and a final newline.

    The bytes are those of `json.dumps(value, sort_keys=True, indent=2)` and a newline.

    Raises: UnicodeEncodeError for an unpaired surrogate, which no reader accepts.
    """
    data = msgspec.json.format(_ENCODER.encode(value), indent=2) + b"\n"
    if not data.isascii():
        data = data.decode().encode("ascii", _ESCAPED)
    return data.replace(b"\x7f", rb"\u007f")


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Return characters that ASCII does not have as JSON escapes them."""
    assert isinstance(error, UnicodeEncodeError)
    return encode_basestring_ascii(error.object[error.start : error.end])[1:-1], error.end


codecs.register_error(_ESCAPED, _escape)
