"""Figures of whole processes: `make bench`. Nothing here is a test, and no time is ever asserted."""
