"""The tools that adapters share: files, git, HTTP, signals. `run/`, `formats/` and `views/` never import them."""
