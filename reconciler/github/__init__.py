"""The adapter of GitHub's REST API, over httpx: comments, issues, runs, labels, and a repository's setup."""
