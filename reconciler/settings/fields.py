"""The settings as a model: names, types and defaults (docs/settings.md)."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from reconciler.core.guards import MaxChanged
from reconciler.model import AuthScheme, BodyForm
from reconciler.settings.flags import PREFIX, SETTING_FLAGS
from reconciler.settings.values import (
    Hosts,
    Seconds,
    Text,
    VariableName,
    none_or,
    parse_boolean,
    parse_limit,
    parse_rate,
    parse_seconds,
    parse_whole,
)

FLAGS = {flag.path: flag for flag in SETTING_FLAGS}


def _described(path: str, default: Any) -> Any:
    if path not in FLAGS:
        raise LookupError(f"{path} has no flag: add it to settings/flags.py")
    return Field(default, description=FLAGS[path].help)


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Api(_Group):
    base_url: Text = _described("api.base_url", "https://www.plugchat.com.br")
    auth_scheme: AuthScheme = _described("api.auth_scheme", AuthScheme.RAW)
    body: BodyForm = _described("api.body", BodyForm.FLAT)
    allowed_hosts: Hosts = _described(
        "api.allowed_hosts", ("www.plugchat.com.br", "app.plugchat.com.br", "api.plugchat.com.br")
    )


class Partner(_Group):
    base_url: Text = _described("partner.base_url", "https://api.plugchat.com.br")
    token_env: VariableName = _described("partner.token_env", "PLUG_PARTNER_TOKEN")


class PolicySettings(_Group):
    """The policy in the settings. `allowed_hosts` None allows every host; an empty list allows no host."""

    allowed_hosts: Hosts | None = _described("policy.allowed_hosts", None)
    denied_hosts: Hosts = _described("policy.denied_hosts", ())


active_sources: ContextVar[tuple[PydanticBaseSettingsSource, ...]] = ContextVar("active_sources", default=())


class Settings(BaseSettings):
    """All settings, checked. Durations are in seconds. Without `load_settings` it reads no variable and no file."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", case_sensitive=True, extra="forbid", frozen=True
    )

    manifests: Text = _described("manifests", "manifests")
    state: Text = _described("state", ".reconciler/state")
    api: Api = Api()
    partner: Partner = Partner()
    concurrency: Annotated[int, BeforeValidator(parse_whole(1, 1024))] = _described("concurrency", 8)
    rate_limit: Annotated[float | None, BeforeValidator(none_or(parse_rate))] = _described("rate_limit", None)
    timeout: Seconds = _described("timeout", 30.0)
    attempts: Annotated[int, BeforeValidator(parse_whole(1, 100))] = _described("attempts", 4)
    deadline: Seconds = _described("deadline", 120.0)
    lease: Seconds = _described("lease", 900.0)
    max_age: Annotated[float | None, BeforeValidator(none_or(parse_seconds))] = _described("max_age", None)
    max_changed: Annotated[MaxChanged | None, BeforeValidator(none_or(parse_limit))] = _described("max_changed", None)
    token_warning: Annotated[float, BeforeValidator(parse_seconds)] = _described("token_warning", 14 * 86_400.0)
    max_failures: Annotated[int, BeforeValidator(parse_whole(1, 1_000_000))] = _described("max_failures", 10)
    tokens_file: Text | None = _described("tokens_file", None)
    secrets_file: Text | None = _described("secrets_file", None)
    allow_local_receivers: Annotated[bool, BeforeValidator(parse_boolean)] = _described("allow_local_receivers", False)
    policy: PolicySettings = Field(PolicySettings(), description=FLAGS["policy"].help)
    secret_prefix: VariableName = _described("secret_prefix", "PLUG_SECRET_")
    token_prefix: VariableName = _described("token_prefix", "PLUG_TOKEN")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of `load_settings`, the strongest first. The library's own would read os.environ."""
        return active_sources.get() or (init_settings,)
