"""The decisions, pure: no file, socket, clock, environment, chance, log or print in here."""
