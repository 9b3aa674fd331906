"""What the workflows post to GitHub: a comment, a status, an issue. An adapter: GitHub's REST API, by httpx."""
