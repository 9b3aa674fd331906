"""Everything that speaks to Plug, and the only room (with receivers.py) that holds a token or a secret."""
