"""The flags of all settings, without an import of pydantic, so that `--help` is quick.

A test keeps this table equal to the model in `settings/fields.py`, which takes its descriptions from here.
"""

from __future__ import annotations

from typing import NamedTuple

PREFIX = "RECONCILER_"
"""The start of the name of each variable that is a setting."""


def name_variable(path: str) -> str:
    """Return the variable of a setting, such as `api.base_url`, or of a group."""
    return PREFIX + path.replace(".", "__").upper()


class SettingFlag(NamedTuple):
    """The flag of one setting. `path` is the setting's name, such as `api.base_url`; flag and variable derive from it.

    A list is given in one flag, comma separated or as JSON. Every `is_bool` also has a `--no-` form. `help` and
    `default` fit one line of a terminal of 80 columns; `default` may be in words.
    """

    path: str
    help: str
    metavar: str = "TEXT"
    is_bool: bool = False
    default: str = ""

    @property
    def name(self) -> str:
        return "--" + self.path.replace(".", "-").replace("_", "-")

    @property
    def variable(self) -> str:
        return name_variable(self.path)


SETTING_FLAGS: tuple[SettingFlag, ...] = (
    SettingFlag("manifests", "Folder of the manifests.", "DIR", default="manifests"),
    SettingFlag("state", "Where the state is kept.", "STORE", default=".reconciler/state"),
    SettingFlag("api.base_url", "Plug's API.", "URL", default="https://www.plugchat.com.br"),
    SettingFlag("api.auth_scheme", "Form of the token: raw or bearer.", "SCHEME", default="raw"),
    SettingFlag("api.body", "Form of the body: flat or value.", "FORM", default="flat"),
    SettingFlag("api.allowed_hosts", "Where a token may go.", "HOSTS", default="Plug's www, app, api"),
    SettingFlag("partner.base_url", "Partner API.", "URL", default="https://api.plugchat.com.br"),
    SettingFlag("partner.token_env", "Its token's variable.", "NAME", default="PLUG_PARTNER_TOKEN"),
    SettingFlag("concurrency", "PUTs at a time.", "N", default="8"),
    SettingFlag("rate_limit", "Requests a second, retries too.", "N", default="none"),
    SettingFlag("timeout", "One attempt, to the last byte.", "DURATION", default="30s"),
    SettingFlag("attempts", "Attempts for each environment.", "N", default="4"),
    SettingFlag("deadline", "All attempts of one environment.", "DURATION", default="120s"),
    SettingFlag("lease", "How long an intent locks others out.", "DURATION", default="900s"),
    SettingFlag("max_age", "Send again what is older.", "DURATION", default="none"),
    SettingFlag("max_changed", "Most updates: a count or a share.", "N", default="50%"),
    SettingFlag("max_failures", "Failures that end a wave.", "N", default="10"),
    SettingFlag("token_warning", "Report a token that ends within.", "DURATION", default="14d"),
    SettingFlag("tokens_file", "File of tokens by environment, mode 600.", "FILE"),
    SettingFlag("secrets_file", "File of secrets by name, mode 600.", "FILE"),
    SettingFlag("allow_local_receivers", "Accept receivers on loopback.", is_bool=True, default="false"),
    SettingFlag("policy", "Both lists as a JSON object.", "JSON"),
    SettingFlag("policy.allowed_hosts", "Hosts a webhook may have.", "HOSTS", default="all"),
    SettingFlag("policy.denied_hosts", "Hosts no webhook may have.", "HOSTS", default="none"),
    SettingFlag("secret_prefix", "Start of a secret's name.", "PREFIX", default="PLUG_SECRET_"),
    SettingFlag("token_prefix", "Start of a token_env.", "PREFIX", default="PLUG_TOKEN"),
)
