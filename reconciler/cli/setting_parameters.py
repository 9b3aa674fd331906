"""Settings' flags among a command's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.settings.flags import SETTING_FLAGS, SettingFlag

_PREFIX = "setting_"


def flag_parameter(flag: SettingFlag) -> str:
    """The name of the parameter that holds what the flag was given."""
    return _PREFIX + flag.path.replace(".", "__")


def is_settings_flag(parameter: str) -> bool:
    return parameter.startswith(_PREFIX)


def take_settings_flags(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that were given, by the path of their setting."""
    paths = {flag_parameter(flag): flag.path for flag in SETTING_FLAGS}
    return {paths[name]: value for name, value in parameters.items() if name in paths and value is not None}
