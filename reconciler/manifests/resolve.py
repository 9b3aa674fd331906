"""One merged manifest -> `Desired`: names filled in, URLs, vars and policy checked (CONTRACT §2, §9)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from reconciler.core.fill import ENVIRONMENT, Template, TemplateFault, fill_vars, parse_template, secret_names
from reconciler.core.names import name_some
from reconciler.core.policy import Policy, find_violation
from reconciler.core.urls import find_base_url_fault, find_url_fault, host_of, is_loopback_url
from reconciler.manifests.merged import Entry, TreeOptions, Value
from reconciler.manifests.schema import near_miss
from reconciler.manifests.tree import DEFAULTS
from reconciler.model import EVENTS, AuthScheme, Desired, Event, Problem, SourceRef

UPDATE_PATH = "/api/integrations/update-webhooks"  # FACTS S

_VAR_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_WEBHOOK_KEYS = {event: f"webhooks.{event}" for event in EVENTS}
_NO_POLICY = Policy()


@dataclass(slots=True)
class _Fault:
    """A fault at one place. A value in `_defaults.yaml` may be wrong for some environments only: they are named."""

    message: str
    hint: str
    environments: list[str] = field(default_factory=list)


class Resolver:
    """Gathers the faults of all environments, each place once."""

    def __init__(self, options: TreeOptions) -> None:
        self._options = options
        self._faults: dict[tuple[SourceRef, str, str], _Fault] = {}
        self._faulty = False
        self._named: set[str] = set()  # the vars that the environment's URLs name: what alike ones are folded by

    def resolve(self, entry: Entry) -> Desired | None:
        """The environment; None where anything of it is wrong (or can't be known)."""
        self._faulty = entry.broken or entry.nameless
        self._named = set()
        values = entry.values
        base_url = self._base_url(entry)
        allow_local = self._options.allow_local_receivers and is_loopback_url(base_url)
        variables, bad_variables = self._variables(entry)
        webhooks = self._webhooks(entry, variables, bad_variables, allow_local=allow_local)
        token_env = self._token_env(entry)
        account_id = values.get("account_id")
        description = values.get("description")
        wave = values.get("wave")
        if self._faulty or any(value.value is None for value in values.values()):
            return None
        return Desired(
            environment=entry.name,
            wave=0 if wave is None else wave.value,
            webhooks=webhooks,
            endpoint=base_url.rstrip("/") + UPDATE_PATH,
            auth_scheme=self._auth_scheme(entry),
            token_env=token_env,
            account_id=None if account_id is None else account_id.value,
            description=None if description is None else description.value,
            secrets=secret_names("".join(webhooks.values())),
            vars={name: variables[name] for name in variables if name in self._named},
            source=entry.start,
            sources={event: values[_WEBHOOK_KEYS[event]].source for event in EVENTS},
            partner_base_url=self._options.base_url_override or self._options.partner_base_url,
        )

    def problems(self) -> Iterator[Problem]:
        return _told(self._faults)

    # --- parts -------------------------------------------------------------------------------------

    def _fault(self, value: Value, key: str, message: str, hint: str, entry: Entry, *, own: bool = False) -> None:
        """`own`: wrong for this environment because of what it fills in, not in itself."""
        self._faulty = True
        _note(self._faults, value.source, key, message, hint, entry.name if own and _is_shared(value) else None)

    def _base_url(self, entry: Entry) -> str:
        if self._options.base_url_override is not None:
            return self._options.base_url_override
        value = entry.values.get("api.base_url")
        if value is None or value.value is None:
            return self._options.base_url
        fault = find_base_url_fault(value.value, self._options.allowed_hosts)
        if fault is not None:
            self._fault(value, "api.base_url", *fault, entry)
        return str(value.value)

    def _auth_scheme(self, entry: Entry) -> AuthScheme:
        value = entry.values.get("api.auth_scheme")
        return self._options.auth_scheme if value is None else AuthScheme(value.value)

    def _token_env(self, entry: Entry) -> str:
        value = entry.values.get("token_env")
        if value is None or value.value is None:
            return default_token_env(entry.name, self._options.token_prefix)
        if not value.value.startswith(self._options.token_prefix):
            message = f"must start with {self._options.token_prefix}"
            self._fault(value, "token_env", message, "so that no manifest can send another secret away", entry)
        return str(value.value)

    def _variables(self, entry: Entry) -> tuple[dict[str, str], set[str]]:
        """The vars, and the names of those that can't be used."""
        variables: dict[str, str] = {}
        bad: set[str] = set()
        for key, value in entry.values.items():
            if not key.startswith("vars."):
                continue
            name = key[5:]
            if value.value is None:
                bad.add(name)
            elif name == ENVIRONMENT:
                self._fault(value, key, "is filled in by itself", "choose another name", entry)
            elif not _VAR_NAME.fullmatch(name):
                self._fault(value, key, "is no name of a var", "letters, digits, _ and -, a letter first", entry)
            elif "{" in value.value or "}" in value.value:
                self._fault(value, key, "holds a brace", "a var's value is literal; write it out", entry)
                bad.add(name)
            else:
                variables[name] = value.value
        return variables, bad

    def _webhooks(
        self, entry: Entry, variables: dict[str, str], bad: set[str], *, allow_local: bool
    ) -> dict[Event, str]:
        webhooks: dict[Event, str] = {}
        missing: list[Event] = []
        for event in EVENTS:
            value = entry.values.get(_WEBHOOK_KEYS[event])
            if value is None:
                missing.append(event)
            elif value.value is not None:
                text = self._fill(entry, event, value, variables, bad)
                if text is not None:
                    webhooks[event] = text
                    self._check_url(entry, event, value, text, allow_local=allow_local)
        self._miss(entry, missing)
        return webhooks

    def _miss(self, entry: Entry, missing: list[Event]) -> None:
        unknown = [event for event in missing if event not in entry.unknown_events]
        if missing:
            self._faulty = True
        if not unknown or entry.broken or "webhooks" in entry.values:
            return
        names = ", ".join(unknown)
        message = f"{entry.name} lacks {len(unknown)} of the seven events: {names}"
        hint = f"a PUT replaces all seven; write them here or in {DEFAULTS}"
        _note(self._faults, entry.webhooks_at, "webhooks", message, hint, None)

    def _fill(self, entry: Entry, event: Event, value: Value, variables: dict[str, str], bad: set[str]) -> str | None:
        key = _WEBHOOK_KEYS[event]
        try:
            template = parse_template(value.value)
        except TemplateFault as fault:
            self._fault(value, key, fault.message, fault.hint, entry)
            return None
        if template.secrets and not self._check_secrets(entry, key, value, template):
            return None
        self._named.update(template.names)
        try:
            return fill_vars(template, entry.name, variables)
        except KeyError as error:
            name = str(error.args[0])
            self._faulty = True
            if name not in bad:
                near = near_miss(name, (*variables, ENVIRONMENT))
                hint = f"did you mean {{{near}}}?" if near else "write it under vars"
                self._fault(value, key, f"{{{name}}} is neither environment nor a var", hint, entry, own=True)
            return None

    def _check_secrets(self, entry: Entry, key: str, value: Value, template: Template) -> bool:
        prefix = self._options.secret_prefix
        wrong = [name for name in template.secrets if not name.startswith(prefix)]
        if wrong:
            message = f"{{secret:{wrong[0]}}} must start with {prefix}"
            self._fault(value, key, message, "so that no manifest can send another secret away", entry)
        return not wrong

    def _check_url(self, entry: Entry, event: Event, value: Value, text: str, *, allow_local: bool) -> None:
        key = _WEBHOOK_KEYS[event]
        own = text != value.value
        fault = find_url_fault(text, allow_local=allow_local)
        if fault is not None:
            self._fault(value, key, *fault, entry, own=own)
            return
        if entry.policy != _NO_POLICY:
            violation = find_violation(entry.policy, host_of(text))
            if violation is not None:
                self._fault(value, key, *violation, entry, own=own)


def default_token_env(environment: str, prefix: str) -> str:
    """`PLUG_TOKEN_<ENVIRONMENT>`, upper case, other characters as `_`."""
    return f"{prefix}_{re.sub('[^A-Z0-9]', '_', environment.upper())}"


def _is_shared(value: Value) -> bool:
    return value.file.endswith("/" + DEFAULTS)


def _note(
    faults: dict[tuple[SourceRef, str, str], _Fault],
    source: SourceRef,
    key: str,
    message: str,
    hint: str,
    environment: str | None,
) -> None:
    fault = faults.setdefault((source, key, message), _Fault(message, hint))
    if environment is not None:
        fault.environments.append(environment)


def _told(faults: dict[tuple[SourceRef, str, str], _Fault]) -> Iterator[Problem]:
    for (source, key, _), fault in faults.items():
        message = fault.message
        if fault.environments:
            message += f" (in {name_some(sorted(fault.environments))})"
        yield Problem(source.file, source.line, source.column, key, message, fault.hint)
