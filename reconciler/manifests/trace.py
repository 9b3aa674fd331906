"""Trace each value of an environment to the place where it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from reconciler.core.fill import ENVIRONMENT, parse_template, secret_names
from reconciler.manifests.merged import Entry
from reconciler.manifests.resolve import UPDATE_PATH
from reconciler.model import (
    EVENTS,
    Desired,
    Origin,
    ResolvedEnvironment,
    ResolvedValue,
    ResolvedVar,
    ResolvedWebhook,
    SettingPlace,
)

FindSetting: TypeAlias = Callable[[str], SettingPlace | None]
"""Returns where a setting was given; None if it has its default."""


def trace_environment(entry: Entry, desired: Desired, find_setting: FindSetting) -> ResolvedEnvironment:
    """Return an environment with the places of its values. `entry` is its manifest, which resolved to `desired`."""
    webhooks = tuple(_trace_webhooks(entry, desired))
    named = {name for webhook in webhooks for name in webhook.vars}
    return ResolvedEnvironment(
        environment=desired.environment,
        source=desired.source,
        endpoint=desired.endpoint,
        values=tuple(_trace_values(entry, desired, find_setting)),
        vars=tuple(
            ResolvedVar(name, value.value, value.source, name in named)
            for name in sorted(set(entry.vars.names()))
            if (value := entry.vars.find(name)) is not None
        ),
        webhooks=webhooks,
    )


def _trace_values(entry: Entry, desired: Desired, find_setting: FindSetting) -> list[ResolvedValue]:
    unless_given = {
        "environment": (desired.environment, Origin.FILE_NAME),
        "description": (None, Origin.DEFAULT),
        "wave": (desired.wave, Origin.DEFAULT),
        "token_env": (desired.token_env, Origin.DEFAULT),
        "account_id": (None, Origin.DEFAULT),
        "organization_id": (None, Origin.DEFAULT),
        "api.base_url": (desired.endpoint.removesuffix(UPDATE_PATH), Origin.SETTING),
        "api.auth_scheme": (desired.auth_scheme.value, Origin.SETTING),
        "api.body": (desired.body.value, Origin.SETTING),
    }
    traced: list[ResolvedValue] = []
    for key, (value, origin) in unless_given.items():
        given = entry.values.get(key)
        if given is not None:
            traced.append(ResolvedValue(key, given.value, Origin.MANIFEST, source=given.source))
            continue
        setting = find_setting(key) if origin is Origin.SETTING else None
        if origin is Origin.SETTING and setting is None:
            origin = Origin.DEFAULT
        traced.append(ResolvedValue(key, value, origin, setting=setting))
    return traced


def _trace_webhooks(entry: Entry, desired: Desired) -> list[ResolvedWebhook]:
    traced: list[ResolvedWebhook] = []
    for event in EVENTS:
        value = entry.values[f"webhooks.{event}"]
        names = {name for name in parse_template(value.value).names if name != ENVIRONMENT}
        url = desired.webhooks[event]
        traced.append(ResolvedWebhook(event, url, value.value, value.source, tuple(sorted(names)), secret_names(url)))
    return traced
