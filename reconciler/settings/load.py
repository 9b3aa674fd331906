"""Load the settings from flags, variables and the file, or report all faults at once."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from msgspec import Struct
from pydantic import ValidationError
from pydantic_settings import InitSettingsSource

from reconciler.errors import InputError
from reconciler.io.git.checkout import find_top
from reconciler.model import Fault, Problem, SettingPlace
from reconciler.settings.faults import find_misfits, find_place_of, find_unknown_variables, path_of, translate
from reconciler.settings.fields import Settings, active_sources
from reconciler.settings.sources import FILE, Layer, find_file, read_flags, read_variables

MAX_FAULTS = 50  # faults reported one by one, as each is compared with all names
logger = logging.getLogger(__name__)


class LoadedSettings(Struct, frozen=True):
    """The settings, the folder that a relative `state` is in, and the files that may hold settings.

    `files` has reconciler.toml even if it is missing, because a deleted file differs from the commit.
    """

    settings: Settings
    state_folder: Path
    files: tuple[Path, ...]
    layers: tuple[Layer, ...]  # the strongest first

    @property
    def file(self) -> str | None:
        """Return the file that was read, as messages show it; None without one."""
        return next((file for layer in self.layers if (file := layer.place_of("").file)), None)

    def find_place(self, path: str) -> SettingPlace | None:
        """Return where a setting was given; None if it has its default."""
        return next((layer.place_of(path) for layer in self.layers if layer.holds(path)), None)


def load_settings(environ: Mapping[str, str], folder: str, flags: Mapping[str, object]) -> LoadedSettings:
    """Return the settings of a run in `folder`. `flags` maps a setting's path to the text on the command line.

    Raises InputError with all faults, each with the place that the value came from.
    """
    problems = list(find_unknown_variables(environ))
    file = find_file(Path(folder), find_top(Path(folder), environ), problems)
    if file.layer is None:
        logger.info("settings: no file in %s", folder)
    else:
        logger.info("settings: read %s in %s", file.layer.place_of("").file, folder)
    unreadable = file.layer is None and any(problem.file for problem in problems)
    given = [read_flags(flags), read_variables(environ)]
    layers = [*given, *([file.layer] if file.layer else [])]
    settings = _merge_and_check(layers, problems, unreadable=unreadable)
    in_file = not any(layer.holds("state") for layer in given)
    names = {FILE} if file.layer is None else {FILE, PurePath(file.layer.place_of("").file).name}
    files = tuple(file.folder / name for name in sorted(names))
    return LoadedSettings(settings, file.folder if in_file else Path(folder), files, tuple(layers))


def _merge_and_check(layers: list[Layer], problems: list[Problem], *, unreadable: bool) -> Settings:
    """Return the merged settings. `unreadable`: a file could not be read, so checks between settings are skipped."""
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
        # the other settings are still checked together, so that one run reports all faults
        layers = [layer.without(wrong) for layer in layers]
        try:
            settings = _merge(layers)
        except ValidationError:  # a key with a dot in its name can't be removed by its path
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
