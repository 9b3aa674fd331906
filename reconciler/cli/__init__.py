"""The command line: parse, settings, build, run, view, exit. Only this room prints or exits."""
