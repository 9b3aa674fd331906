"""A stand-in for Plug on loopback (CONTRACT §10). The demo that runs against it is `cli/demo.py`."""
