"""One environment with the origin of each of its values."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from reconciler.model.manifest import Event
from reconciler.model.problem import Location, SettingPlace


class Origin(StrEnum):
    """The origins of a value."""

    MANIFEST = "manifest"  # the manifest, or a _defaults.yaml whose values it inherits
    FILE_NAME = "file-name"  # the manifest's name
    SETTING = "setting"  # a flag, a variable or the settings file
    DEFAULT = "default"  # the built-in default, as nothing sets the value


class ResolvedValue(Struct, frozen=True):
    """A value by its key in a manifest, such as `api.base_url`. `value` is None if it is optional and not given."""

    key: str
    value: str | int | None
    origin: Origin
    source: Location | None = None  # only for MANIFEST
    setting: SettingPlace | None = None  # only for SETTING


class ResolvedVar(Struct, frozen=True):
    """A var of the manifest. `used`: a webhook of this environment names it."""

    name: str
    value: str
    source: Location
    used: bool


class ResolvedWebhook(Struct, frozen=True):
    """A webhook: `url` in text form, `written` as in the file, and the vars and secrets that it names, sorted."""

    event: Event
    url: str
    written: str
    source: Location
    vars: tuple[str, ...]
    secrets: tuple[str, ...]


class ResolvedEnvironment(Struct, frozen=True):
    """All values of one environment, from its manifest, the defaults and the settings.

    `source` is the start of the manifest, `endpoint` the URL of the PUT. `vars` are sorted by name, `webhooks` have
    the order of `EVENTS`.
    """

    environment: str
    source: Location
    endpoint: str
    values: tuple[ResolvedValue, ...]
    vars: tuple[ResolvedVar, ...]
    webhooks: tuple[ResolvedWebhook, ...]
