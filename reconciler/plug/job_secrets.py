"""The tokens and secrets of a job of the workflows: what to do if one is missing (docs/github.md)."""

from __future__ import annotations

from msgspec import Struct


class JobSecrets(Struct, frozen=True):
    """The GitHub Environment of a job, for what to do about a missing token or secret.

    `tokens` and `secrets` are the names of its secrets that have all tokens and secrets; empty if it has one of each.
    """

    environment: str
    tokens: str = ""
    secrets: str = ""

    def explain_token(self, environment: str) -> str:
        """Return what to do about the missing token of an environment."""
        if self.tokens:
            return f"put {environment} into the secret {self.tokens} of the GitHub Environment {self.environment}"
        return self._explain_setting("PLUG_TOKEN")

    def explain_all_tokens(self) -> str:
        """Return what to do if no token is there at all."""
        return f"add it to the GitHub Environment {self.environment}: YAML or JSON, environment to token"

    def explain_secret(self, name: str, *, has_line: bool) -> str:
        """Return what to do about a missing secret. `has_line`: the workflow hands over a variable of this name."""
        if has_line:
            return self._explain_setting(name)
        line = f"add the line `{name}: ${{{{ secrets.{name} }}}}` under `env:` of apply-wave.yml and drift.yml"
        both = f"{line}, and {self._explain_setting(name)}"
        return (
            f"put it into the secret {self.secrets} of the same GitHub Environment; or {both}" if self.secrets else both
        )

    def _explain_setting(self, name: str) -> str:
        where = f"to the GitHub Environment {self.environment}"
        return f"add the secret {name} {where}: `gh secret set {name} --env {self.environment}`"
