"""The manifest tree: YAML with positions in, `Desired` environments or problems out (docs/manifests.md)."""
