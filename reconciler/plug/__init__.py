"""Everything that speaks to Plug, and the keeper of tokens and secrets, as `Secret`.

Their values leave it for `receivers.py`, which fills URLs in; for `cli/session.py`, which has manifests searched for
them; and for `cli/github_job.py`, which has the runner mask them.
"""
