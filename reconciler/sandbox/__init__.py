"""A stand-in for Plug on loopback (docs/contract.md#sandbox). The demo that runs against it is `cli/demo.py`."""
