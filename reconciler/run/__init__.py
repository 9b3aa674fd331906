"""The use cases: plan, observe, apply, check, drift, edits of the state, GitHub's steps. Ports connect them."""
