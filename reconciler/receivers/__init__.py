"""The servers behind the webhooks, over the network (CONTRACT §8)."""
