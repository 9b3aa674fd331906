"""JSON as every result of this program is written: ASCII, two spaces, a final newline; and why a text is none."""

from __future__ import annotations

import json
from itertools import takewhile
from typing import Any

from pydantic import BaseModel, ValidationError

from reconciler.text.escape import for_json


class FormatError(ValueError):
    """Why bytes are not a document of the expected format, as the end of a sentence that names the file.

    It repeats no value: the file may hold anybody's text, a token too (CONTRACT §11).
    """


def dump(value: dict[str, Any]) -> str:
    """The text of a result, with keys in the order given."""
    return for_json(json.dumps(value, indent=2, ensure_ascii=True)) + "\n"


def describe_place(error: ValidationError, part: type[BaseModel]) -> str:
    """The keys that lead to the first fault, `environments.0.action`; "its start" where none do.

    `part` is what the file's models are made from. What is no key of theirs is left out: it may be anybody's text, a
    token too (CONTRACT §11).
    """
    known = {name for model in part.__subclasses__() for name in model.model_fields}
    first = error.errors(include_input=False, include_url=False)[0]
    keys = takewhile(lambda one: isinstance(one, int) or one in known, first["loc"])
    return ".".join(map(str, keys)) or "its start"
