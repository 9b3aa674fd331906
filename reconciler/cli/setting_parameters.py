"""The flags of settings among the parameters of a command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.settings.flags import SETTING_FLAGS, SettingFlag

_PREFIX = "setting_"


def flag_parameter(flag: SettingFlag) -> str:
    """Return the name of the parameter that holds the flag's value."""
    return _PREFIX + flag.path.replace(".", "__")


def is_settings_flag(parameter: str) -> bool:
    return parameter.startswith(_PREFIX)


def take_settings_flags(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the flags that were given, by the path of their setting."""
    paths = {flag_parameter(flag): flag.path for flag in SETTING_FLAGS}
    return {paths[name]: value for name, value in parameters.items() if name in paths and value is not None}
