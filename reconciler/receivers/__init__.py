"""The servers behind the webhooks, over the network (docs/contract.md#drift)."""
