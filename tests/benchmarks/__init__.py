"""Measurements of whole processes: `make bench`. They are not tests, and assert no time."""
