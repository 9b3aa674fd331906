"""The stores of the applied state (CONTRACT §7)."""
