"""Flags, variables and the file -> settings, or every fault at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import InitSettingsSource

from reconciler.errors import InputError
from reconciler.model import Fault
from reconciler.settings.faults import find_misfits, find_place_of, find_unknown_variables, path_of, translate
from reconciler.settings.fields import Settings, active_sources
from reconciler.settings.sources import Layer, read_files, read_flags, read_variables

MAX_FAULTS = 50  # reported one by one: each is compared with all names
logger = logging.getLogger(__name__)


def load_settings(environ: Mapping[str, str], folder: str, flags: Mapping[str, object]) -> Settings:
    """The settings of a run in `folder`. `flags`: a setting's path to the text given on the command line.

    Raises InputError with every fault, each saying where the value came from.
    """
    problems = list(find_unknown_variables(environ))
    files = read_files(Path(folder), problems)
    unreadable = len(files) == 0 and any(problem.file for problem in problems)
    for layer in files:
        logger.info("settings: read %s in %s", layer.place_of("").file, folder)
    if not files:
        logger.info("settings: no file in %s", folder)
    layers = [read_flags(flags), read_variables(environ), *files]
    try:
        settings = _merge(layers)
        wrong: set[str] = set()
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        wrong = {path_of(fault) for fault in faults}
        problems += [translate(fault, layers) for fault in faults[:MAX_FAULTS]]
        if len(faults) > MAX_FAULTS:
            place = find_place_of(path_of(faults[MAX_FAULTS]), layers)
            problems.append(place.problem(Fault(f"is one of {len(faults) - MAX_FAULTS} more faults")))
        # what is left must still fit together, so that one run tells it all
        layers = [layer.without(wrong) for layer in layers]
        try:
            settings = _merge(layers)
        except ValidationError:  # a key with a dot in its own name can't be left out by its path
            raise InputError(problems=dict.fromkeys(problems)) from None
    if not unreadable:
        problems += find_misfits(settings, layers, wrong)
    if problems:
        raise InputError(problems=dict.fromkeys(problems))
    return settings


def _merge(layers: Iterable[Layer]) -> Settings:
    token = active_sources.set(tuple(InitSettingsSource(Settings, layer.values) for layer in layers))
    try:
        return Settings()
    finally:
        active_sources.reset(token)
