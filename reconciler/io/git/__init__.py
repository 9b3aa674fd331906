"""git, run as a program, and the reads of a checkout."""
