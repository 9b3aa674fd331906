"""The settings: flag, then RECONCILER_ variable, then the settings file, then default (docs/settings.md).

`values` parses what users write, `fields` is the model of all settings, `sources` reads flags, variables and the file,
`faults` reports what is wrong, and `load` joins them. The table of the flags is in `flags`. This module imports none of
them: all but `flags` import pydantic, which is slow, and `--help` needs only `flags`.
"""
