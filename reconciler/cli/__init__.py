"""The command line: parse, settings, build, run, view, exit. Beside `__main__`, only this room prints."""
