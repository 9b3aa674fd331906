"""What the workflows post to GitHub: a comment, an issue. An adapter: GitHub's REST API, by httpx."""
