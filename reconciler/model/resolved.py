"""One environment with the place that each of its values came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.manifest import Event
from reconciler.model.problem import Location, SettingPlace


class Origin(StrEnum):
    """Where a value came from."""

    MANIFEST = "manifest"  # the manifest, or a _defaults.yaml that is merged beneath it
    FILE_NAME = "file-name"  # the manifest's name
    SETTING = "setting"  # a flag, a variable or the settings file
    DEFAULT = "default"  # nothing gives it


@dataclass(frozen=True, slots=True)
class ResolvedValue:
    """A value by its key in a manifest, such as `api.base_url`. `value` is None where it is optional and not given."""

    key: str
    value: str | int | None
    origin: Origin
    source: Location | None = None  # of MANIFEST
    setting: SettingPlace | None = None  # of SETTING


@dataclass(frozen=True, slots=True)
class ResolvedVar:
    """A var. `used`: a webhook of this environment names it."""

    name: str
    value: str
    source: Location
    used: bool


@dataclass(frozen=True, slots=True)
class ResolvedWebhook:
    """A URL in its text form, and as it is `written` at its place, with the vars and secrets that it names, sorted."""

    event: Event
    url: str
    written: str
    source: Location
    vars: tuple[str, ...]
    secrets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResolvedEnvironment:
    """All that a manifest, its defaults and the settings say of one environment. `source` is the manifest's start.

    `endpoint` is the URL of the PUT. `vars` are sorted by name, `webhooks` have the order of `EVENTS`.
    """

    environment: str
    source: Location
    endpoint: str
    values: tuple[ResolvedValue, ...]
    vars: tuple[ResolvedVar, ...]
    webhooks: tuple[ResolvedWebhook, ...]
