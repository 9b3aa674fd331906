"""git, run as a program, and the reads from a checkout."""
