"""The settings: flag, then RECONCILER_ variable, then the settings file, then default (docs/settings.md).

`values` turns what people write into values, `fields` are the settings as pydantic-settings merges them, `sources`
reads flags, variables and the file, `faults` says what is wrong, `load` joins them. The table of the flags is
apart, in `reconciler.settings.flags`: importing this package costs what pydantic costs.
"""

from reconciler.settings.fields import Api, Partner, PolicySettings, Settings
from reconciler.settings.load import LoadedSettings, load_settings

__all__ = ["Api", "LoadedSettings", "Partner", "PolicySettings", "Settings", "load_settings"]
