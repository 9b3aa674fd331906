"""A stand-in for Plug on loopback, and the demo that runs against it (CONTRACT §10)."""
