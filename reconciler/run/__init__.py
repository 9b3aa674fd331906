"""What a command does, with the world behind ports: plan, observe, apply, check, mend the state."""
