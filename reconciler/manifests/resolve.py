"""One merged manifest -> `Desired`: names filled in, URLs, vars and policy checked (CONTRACT §2, §9)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.core.fill import ENVIRONMENT, Template, TemplateFault, fill_vars, parse_template, secret_names
from reconciler.core.hosts import find_host_fault
from reconciler.core.policy import Policy, find_violation
from reconciler.core.urls import (
    MAX_URL_BYTES,
    find_base_url_fault,
    find_plain_hosts,
    find_url_fault,
    host_of,
    is_loopback_url,
)
from reconciler.core.variables import NOT_A_TOKEN, is_token_variable
from reconciler.manifests.merged import Entry, TreeOptions, Value
from reconciler.manifests.schema import near_miss
from reconciler.manifests.tree import DEFAULTS
from reconciler.model import (
    EVENTS,
    AuthScheme,
    BodyForm,
    Desired,
    Destination,
    DestinationPart,
    Event,
    Fault,
    Location,
    Problem,
)
from reconciler.text.counts import name_some

UPDATE_PATH = "/api/integrations/update-webhooks"  # FACTS S

MOST_NAMES = 10  # told of one URL: a flood of them, looked up in a flood of vars, would take hours
MOST_WRITTEN = 1024  # sets of webhooks kept; where every manifest writes its own, they would only take memory

_VAR_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_WEBHOOK_KEYS = {event: f"webhooks.{event}" for event in EVENTS}
_LOOPBACK = Fault(
    "is on this machine (loopback), and the setting api.base_url is not",
    "a manifest can't send a token to a port of this machine; for a sandbox give --api-base-url",
)
_NO_POLICY = Policy()
_NO_VARIABLE = re.compile("[^A-Z0-9]")


@dataclass(frozen=True, slots=True)
class _Written:
    """Seven webhooks as they are written, none of them wrong in itself: what thousands of environments share."""

    parts: tuple[str, ...]  # of all templates, a line each: literal, name, literal, name, …, literal
    names: frozenset[str]
    secrets: tuple[str, ...]  # sorted
    sources: Mapping[Event, Location]


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
        self._faults: dict[tuple[Location, str, str], _Fault] = {}
        self._faulty = False
        self._named: Collection[str] = ()  # the vars that the environment's URLs name: what alike ones are folded by
        self._written: dict[tuple[Value | None, ...], _Written | None] = {}
        self._var_names: dict[tuple[str, ...], tuple[tuple[str, str], ...]] = {}

    def resolve(self, entry: Entry) -> Desired | None:
        """The environment; None where anything of it is wrong (or can't be known)."""
        self._faulty = entry.broken or entry.nameless
        self._named = ()
        values = entry.values
        base_url = self._base_url(entry)
        variables, bad_variables = self._variables(entry)
        written = self._write_down(tuple(map(values.get, _WEBHOOK_KEYS.values())))
        webhooks = None if written is None else self._fill_plain(written, entry, variables)
        if written is None or webhooks is None:
            allow_local = self._options.allow_local_receivers and is_loopback_url(base_url)
            webhooks = self._webhooks(entry, variables, bad_variables, allow_local=allow_local)
        token_env = self._token_env(entry)
        account_id = values.get("account_id")
        organization_id = values.get("organization_id")
        description = values.get("description")
        wave = values.get("wave")
        if self._faulty or None in [value.value for value in values.values()]:
            return None
        destination = Destination(_endpoint(base_url), self._body(entry), self._auth_scheme(entry), token_env)
        return Desired(
            environment=entry.name,
            wave=0 if wave is None else wave.value,
            webhooks=webhooks,
            endpoint=destination.endpoint,
            auth_scheme=destination.auth_scheme,
            token_env=destination.token_env,
            account_id=None if account_id is None else account_id.value,
            description=None if description is None else description.value,
            secrets=secret_names("".join(webhooks.values())) if written is None else written.secrets,
            vars={name: variables[name] for name in variables if name in self._named},
            source=entry.start,
            sources={event: values[key].source for event, key in _WEBHOOK_KEYS.items()}
            if written is None
            else written.sources,
            partner_base_url=self._options.base_url_override or self._options.partner_base_url,
            organization_id=None if organization_id is None else organization_id.value,
            body=destination.body,
            overrides=self._find_overrides(entry, destination),
        )

    def problems(self) -> Iterator[Problem]:
        return _told(self._faults)

    # --- parts -------------------------------------------------------------------------------------

    def _fault(self, value: Value, key: str, message: str, hint: str, entry: Entry, *, own: bool = False) -> None:
        """`own`: wrong for this environment because of what it fills in or where it stands, not in itself."""
        self._faulty = True
        _note(self._faults, value.source, key, message, hint, entry.name if own and _is_shared(value) else None)

    def _base_url(self, entry: Entry) -> str:
        if self._options.base_url_override is not None:
            return self._options.base_url_override
        value = entry.values.get("api.base_url")
        if value is None or value.value is None:
            return self._options.base_url
        fault = find_base_url_fault(value.value, self._options.allowed_hosts)
        if fault is None and is_loopback_url(value.value) and not is_loopback_url(self._options.base_url):
            fault = _LOOPBACK
        if fault is not None:
            self._fault(value, "api.base_url", *fault, entry)
        return str(value.value)

    def _auth_scheme(self, entry: Entry) -> AuthScheme:
        value = entry.values.get("api.auth_scheme")
        return self._options.auth_scheme if value is None else AuthScheme(value.value)

    def _body(self, entry: Entry) -> BodyForm:
        value = entry.values.get("api.body")
        return self._options.body if value is None else BodyForm(value.value)

    def _find_overrides(self, entry: Entry, destination: Destination) -> frozenset[DestinationPart]:
        """Return the parts of the destination that are not as in the settings, or not the name's default."""
        options = self._options
        usual = Destination(
            _endpoint(options.base_url if options.base_url_override is None else options.base_url_override),
            options.body,
            options.auth_scheme,
            default_token_env(entry.name, options.token_prefix),
        )
        if destination == usual:
            return frozenset()
        return frozenset(part for part in DestinationPart if getattr(destination, part) != getattr(usual, part))

    def _token_env(self, entry: Entry) -> str:
        value = entry.values.get("token_env")
        if value is None or value.value is None:
            return default_token_env(entry.name, self._options.token_prefix)
        if not is_token_variable(value.value, self._options.token_prefix):
            message = f"must start with {self._options.token_prefix}"
            if value.value.startswith(NOT_A_TOKEN):
                message += f", and not with {NOT_A_TOKEN}"
            self._fault(value, "token_env", message, "so that no manifest can send another secret away", entry)
        return str(value.value)

    def _variables(self, entry: Entry) -> tuple[dict[str, str], set[str]]:
        """The vars, and the names of those that can't be used."""
        variables: dict[str, str] = {}
        bad: set[str] = set()
        for key, name in self._find_vars(tuple(entry.values)):
            value = entry.values[key]
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

    def _find_vars(self, keys: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """The keys of vars with their names: the same in most of a fleet's manifests."""
        found = self._var_names.get(keys)
        if found is None:
            found = self._var_names[keys] = tuple((key, key[5:]) for key in keys if key.startswith("vars."))
        return found

    # Most environments take all from their defaults and have nothing wrong: what depends on the text as it is
    # written is done once for all of them, and all seven are filled in and looked at together. Wherever that finds
    # anything in the least unusual it gives None, and `_webhooks` does it one by one, and tells what is wrong.

    def _write_down(self, values: tuple[Value | None, ...]) -> _Written | None:
        if values not in self._written:
            if len(self._written) == MOST_WRITTEN:
                self._written.clear()
            self._written[values] = self._make_written(values)
        return self._written[values]

    def _make_written(self, values: tuple[Value | None, ...]) -> _Written | None:
        parts: list[str] = [""]
        secrets: set[str] = set()
        for value in values:
            if value is None or value.value is None:
                return None
            try:
                template = parse_template(value.value)
            except TemplateFault:
                return None
            parts[-1] += template.parts[0]
            parts += template.parts[1:]
            parts[-1] += "\n"
            secrets.update(template.secrets)
        if not all(name.startswith(self._options.secret_prefix) for name in secrets):
            return None
        sources = {event: value.source for event, value in zip(EVENTS, values, strict=True) if value is not None}
        return _Written(tuple(parts), frozenset(parts[1::2]), tuple(sorted(secrets)), sources)

    def _fill_plain(self, written: _Written, entry: Entry, variables: Mapping[str, str]) -> dict[Event, str] | None:
        filled = list(written.parts)
        known = {**variables, ENVIRONMENT: entry.name}
        try:
            filled[1::2] = [known[name] for name in filled[1::2]]
        except KeyError:
            return None
        lines = "".join(filled)
        texts = lines.split("\n")
        hosts = find_plain_hosts(lines)
        if not len(hosts) == len(EVENTS) == len(texts) - 1 or max(map(len, texts)) > MAX_URL_BYTES:
            return None
        for host in set(hosts):
            if find_host_fault(host) is not None or find_violation(entry.policy, host.lower()) is not None:
                return None
        self._named = written.names
        return dict(zip(EVENTS, texts, strict=False))

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
        self._named = {*self._named, *template.names}
        named = self._check_names(entry, key, value, template, variables, bad)
        if not self._check_secrets(entry, key, value, template) or not named:
            return None
        return fill_vars(template, entry.name, variables)

    def _check_names(
        self, entry: Entry, key: str, value: Value, template: Template, variables: Mapping[str, str], bad: set[str]
    ) -> bool:
        """Whether all can be filled in. Tells of each unknown one, but of those in `bad`: theirs is told at the var."""
        unfilled = dict.fromkeys(name for name in template.names if name != ENVIRONMENT and name not in variables)
        self._faulty = self._faulty or bool(unfilled)
        for name in [name for name in unfilled if name not in bad][:MOST_NAMES]:
            near = near_miss(name, (*variables, ENVIRONMENT))
            hint = f"did you mean {{{near}}}?" if near else "write it under vars"
            self._fault(value, key, f"{{{name}}} is neither environment nor a var", hint, entry, own=True)
        return not unfilled

    def _check_secrets(self, entry: Entry, key: str, value: Value, template: Template) -> bool:
        prefix = self._options.secret_prefix
        wrong = [name for name in template.secrets if not name.startswith(prefix)]
        for name in wrong[:MOST_NAMES]:
            message = f"{{secret:{name}}} must start with {prefix}"
            self._fault(value, key, message, "so that no manifest can send another secret away", entry)
        return not wrong

    def _check_url(self, entry: Entry, event: Event, value: Value, text: str, *, allow_local: bool) -> None:
        key = _WEBHOOK_KEYS[event]
        fault = find_url_fault(text, allow_local=allow_local)
        if fault is not None:
            # what may be local depends on the environment's own base URL
            own = text != value.value or self._options.allow_local_receivers
            self._fault(value, key, *fault, entry, own=own)
            return
        if entry.policy != _NO_POLICY:
            violation = find_violation(entry.policy, host_of(text))
            if violation is not None:
                self._fault(value, key, *violation, entry, own=True)


def _endpoint(base_url: str) -> str:
    return base_url.rstrip("/") + UPDATE_PATH


def default_token_env(environment: str, prefix: str) -> str:
    """`PLUG_TOKEN_<ENVIRONMENT>`, upper case, other characters as `_`."""
    return f"{prefix}_{_NO_VARIABLE.sub('_', environment.upper())}"


def _is_shared(value: Value) -> bool:
    return value.source.file.endswith("/" + DEFAULTS)


def _note(
    faults: dict[tuple[Location, str, str], _Fault],
    source: Location,
    key: str,
    message: str,
    hint: str,
    environment: str | None,
) -> None:
    fault = faults.setdefault((source, key, message), _Fault(message, hint))
    if environment is not None:
        fault.environments.append(environment)


def _told(faults: dict[tuple[Location, str, str], _Fault]) -> Iterator[Problem]:
    for (source, key, _), fault in faults.items():
        message = fault.message
        if fault.environments:
            message += f" (in {name_some(sorted(fault.environments))})"
        yield Problem.at(source, key, message, fault.hint)
