"""What a command does, with the world behind ports: plan, apply, drift."""
