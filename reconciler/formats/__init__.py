"""The machine formats: each result as JSON, encoded and decoded side by side (CONTRACT §4 to §8)."""
