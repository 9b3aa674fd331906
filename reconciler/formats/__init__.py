"""The machine formats: each result as JSON, encoded and decoded side by side.

See docs/contract.md#commands, docs/contract.md#drift.
"""
