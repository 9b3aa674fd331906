"""Tests of every parser with hostile input: Hypothesis in `make test`, atheris in `make fuzz`."""
