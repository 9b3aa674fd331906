"""Every setting's flag, without what it takes to read settings: `--help` must not wait for pydantic.

A test holds this table equal to the model in `settings/fields.py`, which takes its descriptions from here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SettingFlag:
    """`path` is the setting's name, as in `api.base_url`; the flag and the variable are made of it.

    A list is written comma separated or as JSON, in one flag. A `--no-` form goes with every `is_bool`.
    """

    path: str
    help: str
    metavar: str = "TEXT"
    is_bool: bool = False

    @property
    def name(self) -> str:
        return "--" + self.path.replace(".", "-").replace("_", "-")

    @property
    def variable(self) -> str:
        return "RECONCILER_" + self.path.replace(".", "__").upper()


SETTING_FLAGS: tuple[SettingFlag, ...] = (
    SettingFlag("manifests", "Folder of the manifests.", "DIR"),
    SettingFlag(
        "state", "Where the applied state is kept: a folder, git:REMOTE/BRANCH, or s3://, gs://, az://.", "STORE"
    ),
    SettingFlag("api.base_url", "Where Plug's API is.", "URL"),
    SettingFlag("api.auth_scheme", "How the token is sent: raw or bearer.", "SCHEME"),
    SettingFlag("api.body", "Where the webhooks are in the body: flat, or value (in an object `value`).", "FORM"),
    SettingFlag("api.allowed_hosts", "Hosts a token may be sent to, comma separated.", "HOSTS"),
    SettingFlag("partner.base_url", "Where Plug's partner API is.", "URL"),
    SettingFlag("partner.token_env", "Variable that holds the partner token.", "NAME"),
    SettingFlag("concurrency", "PUTs at a time.", "N"),
    SettingFlag("rate_limit", "Requests a second over all environments, retries included; or none.", "N"),
    SettingFlag("timeout", "Limit of one attempt, from connect to the last byte.", "DURATION"),
    SettingFlag("attempts", "Attempts for each environment.", "N"),
    SettingFlag("deadline", "Limit of all attempts for one environment.", "DURATION"),
    SettingFlag("lease", "How long an intent keeps other runs away.", "DURATION"),
    SettingFlag("max_age", "Put again what was applied longer ago than this; or none.", "DURATION"),
    SettingFlag("max_changed", "Refuse more updates than this in one run: a count or a percentage.", "N"),
    SettingFlag("token_warning", "Report a token as drift that ends within this.", "DURATION"),
    SettingFlag("max_failures", "Begin no further environment of a wave after so many failures.", "N"),
    SettingFlag("tokens_file", "YAML or JSON file, environment to token, mode 600.", "FILE"),
    SettingFlag("secrets_file", "YAML or JSON file, secret to value, also by environment, mode 600.", "FILE"),
    SettingFlag("allow_local_receivers", "Accept receivers on loopback where the base URL is too.", is_bool=True),
    SettingFlag("policy", "Both lists of the policy, as a JSON object.", "JSON"),
    SettingFlag(
        "policy.allowed_hosts",
        "Hosts a webhook may have, comma separated, as in *.example.com.br.",
        "HOSTS",
    ),
    SettingFlag("policy.denied_hosts", "Hosts no webhook may have, comma separated.", "HOSTS"),
    SettingFlag("secret_prefix", "What the name of every {secret:NAME} starts with.", "PREFIX"),
    SettingFlag("token_prefix", "What the name of every token_env starts with.", "PREFIX"),
)
