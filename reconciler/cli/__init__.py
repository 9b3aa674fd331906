"""The command line: options, settings, adapters, use case, view, exit code. Only this package and `__main__` print."""
