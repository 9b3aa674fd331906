"""git, run as a program, and what is read from a checkout."""
