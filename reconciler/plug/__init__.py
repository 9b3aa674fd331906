"""The clients of Plug, and the tokens and secrets, which are held as `Secret`.

Their values leave this package for three places: `receivers`, which fills URLs in; `cli/session.py`, which searches
manifests for them; and `cli/step.py`, which asks the runner to mask them.
"""
