"""The stores of the applied state (docs/state.md)."""
