"""Reconciler: the webhook URLs of Plug Chat companies, under version control."""

__version__ = "0.1.0"
