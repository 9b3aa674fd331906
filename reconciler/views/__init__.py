"""Results as text: `render_…` returns a string and writes nothing."""
