"""Use cases, with the world behind ports: plan, observe, apply, check, drift, edits of the state, GitHub's steps."""
