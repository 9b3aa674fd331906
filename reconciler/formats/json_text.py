"""The JSON text of every result of this program (ASCII, two spaces, a final newline), and errors of reading it."""

from __future__ import annotations

import json
from itertools import takewhile
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from reconciler.core.json_keys import has_repeated_key
from reconciler.text.escape import for_json


class FormatError(ValueError):
    """Bytes that are not a document of the expected format. The text completes a sentence that begins with the file.

    It repeats no value of the file, as a value may be a token (docs/contract.md#what-no-output-does).
    """


class ReadPart(BaseModel):
    """A part of a result that is read from a file. Other keys, such as those of a later version, are ignored."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class ExactPart(BaseModel):
    """A part of a file in which no other key may be."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


def dump(value: dict[str, Any]) -> str:
    """Return the text of a result, with keys in the order given."""
    return for_json(json.dumps(value, indent=2, ensure_ascii=True)) + "\n"


def refuse_repeated_keys(data: bytes) -> None:
    """Raise FormatError if an object in `data`, which is valid JSON in UTF-8, has a key more than once."""
    if has_repeated_key(data):
        raise FormatError("was edited: a key appears twice in it")


def describe_place(error: ValidationError, part: type[BaseModel]) -> str:
    """Return the path to the first fault, such as `environments.0.action`, or "its start".

    `part` is the base class of the file's models. The path ends before a key that they don't have: an unknown key may
    be a token (docs/contract.md#what-no-output-does).
    """
    known = {name for model in part.__subclasses__() for name in model.model_fields}
    first = error.errors(include_input=False, include_url=False)[0]
    keys = takewhile(lambda one: isinstance(one, int) or one in known, first["loc"])
    return ".".join(map(str, keys)) or "its start"
