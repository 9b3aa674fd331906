"""Where in a file that was given on the command line something is wrong."""

from __future__ import annotations

from itertools import takewhile

from pydantic import BaseModel, ValidationError


def describe_place(error: ValidationError, part: type[BaseModel]) -> str:
    """The keys that lead to the first fault, `environments.0.action`; "its start" where none do.

    `part` is what the file's models are made from. What is no key of theirs is left out: it may be anybody's text, a
    token too (CONTRACT §11).
    """
    known = {name for model in part.__subclasses__() for name in model.model_fields}
    first = error.errors(include_input=False, include_url=False)[0]
    keys = takewhile(lambda one: isinstance(one, int) or one in known, first["loc"])
    return ".".join(map(str, keys)) or "its start"
