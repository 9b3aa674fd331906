"""The settings: flag, then RECONCILER_ variable, then the settings file, then default (docs/settings.md).

`values` turns what people write into values, `fields` are the settings as pydantic-settings merges them, `sources`
reads flags, variables and the file, `faults` says what is wrong, `load` joins them. The table of the flags is apart, in
`flags`. This package imports none of them: all but `flags` cost what pydantic costs, and `--help` needs `flags` alone.
"""
