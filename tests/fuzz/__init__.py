"""Every parser against an author who means harm: Hypothesis in `make test`, atheris in `make fuzz`."""
