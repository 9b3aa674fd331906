"""The adapter to the servers behind the webhooks (docs/contract.md#drift)."""
