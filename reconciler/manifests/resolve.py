"""Turn one merged manifest into a `Desired`: fill names in, check URLs, vars and policy.

See docs/manifests.md, docs/manifests.md#policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, TypeVar

from msgspec import Struct, field

from reconciler.core.fill import (
    ENVIRONMENT,
    MAX_URL_BYTES,
    TOO_LONG,
    Template,
    TemplateFault,
    fill_vars,
    parse_lines,
    parse_template,
    secret_names,
)
from reconciler.core.hosts import find_host_fault
from reconciler.core.policy import Policy, find_violation, is_reserved_host
from reconciler.core.slips import find_meant_variable
from reconciler.core.urls import (
    ONE_LINE,
    find_base_url_fault,
    find_character_fault,
    find_non_ascii,
    find_other_template,
    find_plain_hosts,
    find_url_fault,
    host_of,
    is_loopback_url,
)
from reconciler.core.variables import NOT_A_TOKEN, is_token_variable
from reconciler.manifests.file_names import DEFAULTS
from reconciler.manifests.merged import Entry, TreeOptions, Value
from reconciler.manifests.quoting import SourceLines
from reconciler.manifests.unknown_names import UnknownNames
from reconciler.manifests.vars import find_secret_in_url, hint_at_template
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
    Sources,
)
from reconciler.text.counts import name_some
from reconciler.text.variable_name import name_in_variable

T = TypeVar("T")

UPDATE_PATH = "/api/integrations/update-webhooks"  # docs/plug-api.md#the-call

MAX_NAMES = 10  # unknown names reported for one URL: to look up many names among many vars would take hours
MAX_PLAIN_KEPT = 1024  # sets of inherited webhooks kept
MAX_SHARED = 1024  # tuples of equal content that environments share
MAX_FILLED = 4 * len(EVENTS) * MAX_URL_BYTES  # characters that all seven URLs together may have when filled in

_WEBHOOK_KEYS = {event: f"webhooks.{event}" for event in EVENTS}
_NO_PARTS: frozenset[DestinationPart] = frozenset()
_NO_VARS: Mapping[str, str] = {}  # most environments name none, and share this one
_FILE, _LINE, _COLUMN = map(attrgetter, ("file", "line", "column"))
_DESTINATION_KEYS = frozenset({"api.base_url", "api.body", "api.auth_scheme", "token_env"})
_LOOPBACK = Fault(
    "is on this machine (loopback), and the setting api.base_url is not",
    "a manifest can't send a token to a port of this machine; for a sandbox give --api-base-url",
)
_NO_POLICY = Policy()
_VARS = "vars"  # among the values of an entry only if it is not a mapping
_SCHEME = re.compile("https?://", re.IGNORECASE)
_USUAL_VARIABLE = re.compile("[A-Z][A-Z0-9_]*")


class _PlainWebhooks(Struct, frozen=True):
    """Seven webhooks as a file writes them, none of them wrong in itself: thousands of environments may share them."""

    parts: tuple[str, ...]  # the seven templates as seven lines: literal, name, literal, name, …, literal
    names: frozenset[str]
    places: int  # how often names occur in the parts
    fixed: int  # characters of the literal parts
    secrets: tuple[str, ...]  # sorted
    sources: Sources


class _PlacedFault(Struct):
    """A fault at one place. A value in `_defaults.yaml` may be wrong for some environments only: these are named."""

    message: str
    hint: str
    environments: list[str] = field(default_factory=list)


class Resolver:
    """Resolves environments, and gathers their faults, each place once.

    `used` has the names of the vars that the URLs of each environment name, with its manifest. It is complete if
    `knows_names` is true; if it is false, a URL could not be read. `has_reserved` is true if an environment may have a
    webhook on a reserved host.
    """

    def __init__(self, options: TreeOptions, lines: SourceLines) -> None:
        self.used: set[tuple[frozenset[str], str]] = set()
        self.knows_names = True
        self.has_reserved = False
        self._options = options
        self._lines = lines
        self._faults: dict[tuple[Location, str, str], _PlacedFault] = {}
        self._unknown = UnknownNames(options)
        self._doubts: dict[tuple[Location, str, str], _PlacedFault] = {}
        self._faulty = False
        self._named: dict[str, str] = {}  # the vars that the environment's URLs name; views group environments by them
        self._plain: dict[tuple[Value | None, ...], _PlainWebhooks | None] = {}
        self._shared: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        self._bad_vars: dict[Location, bool] = {}  # vars that URLs name -> whether a fault of the var is reported

    def resolve(self, entry: Entry) -> Desired | None:
        """Return the environment; None if anything about it is wrong or can't be known."""
        self._faulty = entry.broken or entry.nameless
        self._named = {}
        values = entry.values
        base_url = self._base_url(entry)
        plain = self._find_plain(tuple(map(values.get, _WEBHOOK_KEYS.values())), entry.start.file)
        webhooks = None if plain is None else self._fill_plain(plain, entry)
        if plain is None or webhooks is None:
            allow_local = self._options.allow_local_receivers and is_loopback_url(base_url)
            webhooks = self._webhooks(entry, allow_local=allow_local)
            self.has_reserved = self.has_reserved or any(is_reserved_host(host_of(url)) for url in webhooks.values())
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
            secrets=self._share(secret_names("".join(webhooks.values()))) if plain is None else plain.secrets,
            vars={name: self._named[name] for name in sorted(self._named)} if self._named else _NO_VARS,
            source=entry.start,
            sources=self._make_sources([values[key] for key in _WEBHOOK_KEYS.values()])
            if plain is None
            else plain.sources,
            partner_base_url=self._options.base_url_override or self._options.partner_base_url,
            organization_id=None if organization_id is None else organization_id.value,
            body=destination.body,
            overrides=self._find_overrides(entry, destination),
        )

    def problems(self, defined: Iterable[str]) -> Iterator[Problem]:
        """Yield the errors. `defined` has the names of all vars in the tree."""
        yield from _list_problems(self._faults)
        yield from self._unknown.problems(defined, self.used)

    def warnings(self) -> Iterator[Problem]:
        return _list_problems(self._doubts)

    # --- parts -------------------------------------------------------------------------------------

    def _report(self, value: Value, key: str, message: str, hint: str, entry: Entry, *, own: bool = False) -> None:
        """Report a value. `own`: it is wrong for this environment only, because of its vars, policy or place."""
        self._faulty = True
        _add_fault(self._faults, value.source, key, message, hint, entry.name if own and _is_shared(value) else None)

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
            self._report(value, "api.base_url", *fault, entry)
        return str(value.value)

    def _auth_scheme(self, entry: Entry) -> AuthScheme:
        value = entry.values.get("api.auth_scheme")
        return self._options.auth_scheme if value is None else AuthScheme(value.value)

    def _body(self, entry: Entry) -> BodyForm:
        value = entry.values.get("api.body")
        return self._options.body if value is None else BodyForm(value.value)

    def _find_overrides(self, entry: Entry, destination: Destination) -> frozenset[DestinationPart]:
        """Return the parts of the destination that differ from the settings, or from the default of `token_env`."""
        if entry.values.keys().isdisjoint(_DESTINATION_KEYS):
            return _NO_PARTS
        options = self._options
        usual = Destination(
            _endpoint(options.base_url if options.base_url_override is None else options.base_url_override),
            options.body,
            options.auth_scheme,
            default_token_env(entry.name, options.token_prefix),
        )
        return frozenset(part for part in DestinationPart if getattr(destination, part) != getattr(usual, part))

    def _token_env(self, entry: Entry) -> str:
        value = entry.values.get("token_env")
        if value is None or value.value is None:
            return default_token_env(entry.name, self._options.token_prefix)
        if not is_token_variable(value.value, self._options.token_prefix):
            message = f"must start with {self._options.token_prefix}"
            if value.value.startswith(NOT_A_TOKEN):
                message += f", and not with {NOT_A_TOKEN}"
            self._report(value, "token_env", message, _hint_at_prefix(value.value, self._options.token_prefix), entry)
        return str(value.value)

    def _make_sources(self, values: Sequence[Value]) -> Sources:
        files = tuple(map(_FILE, values))
        lines, columns = self._share(tuple(map(_LINE, values))), self._share(tuple(map(_COLUMN, values)))
        return Sources(files if len(set(files)) > 1 else files[:1], lines, columns)

    def _share(self, given: tuple[T, ...]) -> tuple[T, ...]:
        """Return an equal tuple that other environments have too: thousands need it, and few differ."""
        if len(self._shared) < MAX_SHARED:
            return self._shared.setdefault(given, given)
        return self._shared.get(given, given)

    # The fast path. Most environments have nothing wrong in their seven webhooks. Their templates are parsed, filled in
    # and checked together, and those that all are inherited are parsed once. For anything unusual these functions
    # return None, and `_webhooks` checks the URLs one by one and reports what is wrong.

    def _find_plain(self, values: tuple[Value | None, ...], file: str) -> _PlainWebhooks | None:
        """Return the webhooks if nothing is wrong in them. `file` is the manifest."""
        if any(value is not None and value.file == file for value in values):
            return self._make_plain(values)  # no other manifest has this one's own webhook
        if values not in self._plain:
            if len(self._plain) == MAX_PLAIN_KEPT:
                self._plain.clear()
            self._plain[values] = self._make_plain(values)
        return self._plain[values]

    def _make_plain(self, values: tuple[Value | None, ...]) -> _PlainWebhooks | None:
        given = [value for value in values if value is not None and value.value is not None]
        if len(given) != len(EVENTS):
            return None
        try:
            template = parse_lines(value.value for value in given)
        except TemplateFault:
            return None
        if not all(name.startswith(self._options.secret_prefix) for name in template.secrets):
            return None
        return _PlainWebhooks(
            parts=template.parts,
            names=frozenset(template.names),
            places=sum(template.names.values()),
            fixed=sum(map(len, template.parts[::2])),
            secrets=self._share(tuple(sorted(template.secrets))),
            sources=self._make_sources(given),
        )

    def _fill_plain(self, plain: _PlainWebhooks, entry: Entry) -> dict[Event, str] | None:
        known: dict[str, str] = {}
        lines = self._fill_lines(plain, entry, known) if plain.names else plain.parts[0]
        if lines is None or len(lines) > MAX_FILLED:
            return None
        texts = lines.split("\n")
        hosts = find_plain_hosts(lines)
        if not len(hosts) == len(EVENTS) == len(texts) - 1 or max(map(len, texts)) > MAX_URL_BYTES:
            return None
        for host in set(hosts):
            if find_host_fault(host) is not None or find_violation(entry.policy, host.lower()) is not None:
                return None
            self.has_reserved = self.has_reserved or is_reserved_host(host)
        known.pop(ENVIRONMENT, None)
        self._named = known
        return dict(zip(EVENTS, texts, strict=False))

    def _fill_lines(self, plain: _PlainWebhooks, entry: Entry, known: dict[str, str]) -> str | None:
        """Return the seven URLs as lines, and add to `known` the values that are filled in."""
        self.used.add((plain.names, entry.start.file))
        for name in plain.names:
            value = None if name == ENVIRONMENT else entry.vars.find(name)
            if name != ENVIRONMENT and (value is None or value.value is None):
                return None
            known[name] = entry.name if value is None else value.value
        if plain.fixed + plain.places * max(map(len, known.values())) > MAX_FILLED:
            return None
        filled = list(plain.parts)
        filled[1::2] = [known[name] for name in filled[1::2]]
        lines = "".join(filled)
        if "/" in "".join(known.values()) and _doubles_slash(plain, known.values(), lines):
            return None
        return lines

    def _webhooks(self, entry: Entry, *, allow_local: bool) -> dict[Event, str]:
        webhooks: dict[Event, str] = {}
        missing: list[Event] = []
        for event in EVENTS:
            value = entry.values.get(_WEBHOOK_KEYS[event])
            if value is None:
                missing.append(event)
            elif value.value is None:
                self.knows_names = False
            else:
                text = self._fill(entry, event, value, allow_local=allow_local)
                if text is not None:
                    webhooks[event] = text
                    self._check_url(entry, event, value, text, allow_local=allow_local)
        self._report_missing(entry, missing)
        return webhooks

    def _report_missing(self, entry: Entry, missing: list[Event]) -> None:
        unknown = [event for event in missing if event not in entry.unknown_events]
        if missing:
            self._faulty = True
        if not unknown or entry.broken or "webhooks" in entry.values:
            return
        names = ", ".join(unknown)
        message = f"{entry.name} lacks {len(unknown)} of the seven events: {names}"
        hint = f"a PUT replaces all seven; write them here or in {DEFAULTS}"
        _add_fault(self._faults, entry.webhooks_at, "webhooks", message, hint, None)

    def _fill(self, entry: Entry, event: Event, value: Value, *, allow_local: bool) -> str | None:
        """Return the URL in its text form; None, with a problem, if it can't be filled in."""
        key = _WEBHOOK_KEYS[event]
        try:
            template = parse_template(value.value)
        except TemplateFault as fault:
            meant = find_secret_in_url(value.value, self._options)
            self._report(value, key, *(meant or (fault.message, fault.hint)), entry)
            self.knows_names = False
            return None
        variables = self._find_vars(entry, key, value, template)
        if not self._check_secrets(entry, key, value, template) or variables is None:
            return None
        if not self._check_host_var(entry, template, allow_local=allow_local):
            return None
        if template.measure(entry.name, variables) > MAX_URL_BYTES:
            self._report(value, key, *TOO_LONG, entry, own=bool(template.names))
            return None
        self._named.update(variables)
        self._warn_of_slashes(entry, template)
        return fill_vars(template, entry.name, variables)

    def _find_vars(self, entry: Entry, key: str, value: Value, template: Template) -> dict[str, str] | None:
        """Return the vars that a URL names; None, with a problem, if one is unknown or can't be used."""
        variables: dict[str, str] = {}
        unknown: list[str] = []
        usable = True
        is_whole = not entry.broken and _VARS not in entry.values  # else what can't be read may have held the name
        self.used.add((frozenset(template.names), entry.start.file))
        for name in template.names:
            found = None if name == ENVIRONMENT else entry.vars.find(name)
            if found is None:
                if name != ENVIRONMENT and is_whole:
                    unknown.append(name)
                usable = usable and (name == ENVIRONMENT or is_whole)
            elif found.value is None or self._has_own_fault(entry, name, found):
                usable = False
            else:
                variables[name] = found.value
        self._faulty = self._faulty or bool(unknown) or not usable
        for name in unknown[:MAX_NAMES]:
            self._unknown.add(entry, key, value, name)
        return variables if usable and not unknown else None

    def _has_own_fault(self, entry: Entry, name: str, value: Value) -> bool:
        """Return whether no URL can hold this var. It is reported once, at the var, not at each URL that names it."""
        if value.source not in self._bad_vars:
            fault = find_character_fault(value.value)
            self._bad_vars[value.source] = fault is not None and fault != TOO_LONG
            if fault is not None and fault != TOO_LONG:
                self._report(value, f"vars.{name}", *self._explain(fault, value, value.value), entry)
        return self._bad_vars[value.source]

    def _check_host_var(self, entry: Entry, template: Template, *, allow_local: bool) -> bool:
        """Return whether a var that is the URL's host is a valid host. If it is not, report it at the var."""
        parts = template.parts
        if len(parts) < 3 or parts[0] != "https://":
            return True
        value = None if parts[1] == ENVIRONMENT else entry.vars.find(parts[1])
        if value is None:
            return True
        scheme = _SCHEME.match(value.value)
        if scheme is not None:
            message = f"begins with {scheme[0]}, and so does the URL that names it"
            self._report(value, f"vars.{parts[1]}", message, f"write the host without {scheme[0]}", entry)
            return False
        if not (parts[2] == "" or parts[2][0] in "/?:") or (parts[2] == "" and len(parts) > 3):
            return True
        fault = find_url_fault(f"https://{value.value}", allow_local=allow_local)
        if fault is None or fault == TOO_LONG:
            return True
        own = self._options.allow_local_receivers  # what may be local depends on the environment's own base URL
        self._report(value, f"vars.{parts[1]}", *fault, entry, own=own)
        return False

    def _warn_of_slashes(self, entry: Entry, template: Template) -> None:
        """Warn of a var that doubles a slash: the URL is sent as it is, and most receivers take it for another path."""
        parts = template.parts
        for place in range(1, len(parts), 2):
            name = parts[place]
            value = None if name == ENVIRONMENT else entry.vars.find(name)
            if value is None:
                continue
            if value.value.endswith("/") and parts[place + 1].startswith("/"):
                fault = Fault("ends in /, and the URL goes on with /, so that it holds //", "remove the / at its end")
            elif value.value.startswith("/") and parts[place - 1].endswith("/"):
                fault = Fault(
                    "begins with / after a / of the URL, so that it holds //", "remove the / at its beginning"
                )
            else:
                continue
            _add_fault(self._doubts, value.source, f"vars.{name}", *fault, None)

    def _check_secrets(self, entry: Entry, key: str, value: Value, template: Template) -> bool:
        prefix = self._options.secret_prefix
        wrong = [name for name in template.secrets if not name.startswith(prefix)]
        for name in wrong[:MAX_NAMES]:
            # a name in another form may be the secret itself, pasted where its name belongs: it is not repeated
            message = f"{{secret:{name}}} must start with {prefix}"
            if not _USUAL_VARIABLE.fullmatch(name):
                message = f"{{secret:…}} must name a variable that starts with {prefix}"
            self._report(value, key, message, _hint_at_prefix(name, prefix), entry)
        return not wrong

    def _check_url(self, entry: Entry, event: Event, value: Value, text: str, *, allow_local: bool) -> None:
        key = _WEBHOOK_KEYS[event]
        fault = find_url_fault(text, allow_local=allow_local)
        if fault is not None:
            # what may be local depends on the environment's own base URL
            own = text != value.value or self._options.allow_local_receivers
            self._report(value, key, *self._explain(fault, value, text), entry, own=own)
            return
        if entry.policy != _NO_POLICY:
            violation = find_violation(entry.policy, host_of(text))
            if violation is not None:
                self._report(value, key, *violation, entry, own=True)

    def _explain(self, fault: Fault, value: Value, text: str) -> Fault:
        """Add what only the file shows to the fault of a text: a column, several lines, another tool's template."""
        written = str(value.value)
        non_ascii = find_non_ascii(written)
        if non_ascii is None and not any(char.isspace() for char in text):
            return fault
        column = self._lines.find_value(value.source, written)
        if non_ascii is not None and column is not None and fault == find_character_fault(written):
            return Fault(f"{fault.message}, in column {column + non_ascii}", fault.hint)
        template = find_other_template(written)
        if template is not None and " " in template[0]:
            return Fault(fault.message, hint_at_template(template[1]))
        if non_ascii is None and column is None and self._lines.is_on_several(value.source, written):
            return Fault(fault.message, ONE_LINE)
        return fault


def _doubles_slash(plain: _PlainWebhooks, values: Iterable[str], lines: str) -> bool:
    """Return whether a var may have doubled a slash of the URLs. Most begin and end with another character."""
    at_edge = any(value.startswith("/") or value.endswith("/") for value in values)
    return at_edge and lines.count("//") != "x".join(plain.parts[::2]).count("//")


@lru_cache(maxsize=1024)  # most environments share one
def _endpoint(base_url: str) -> str:
    return base_url.rstrip("/") + UPDATE_PATH


def default_token_env(environment: str, prefix: str) -> str:
    """Return the variable of an environment's token, such as `PLUG_TOKEN_LOJA_CENTRO`."""
    return f"{prefix}_{name_in_variable(environment)}"


def _hint_at_prefix(name: str, prefix: str) -> str:
    """Return what to do about a variable whose name does not begin with the prefix."""
    meant = find_meant_variable(name, prefix)
    way = "use a variable with this prefix, so that no manifest can send another secret away"
    return way if meant is None else f"did you mean {meant}? {way.capitalize()}"


def _is_shared(value: Value) -> bool:
    return value.source.file.endswith("/" + DEFAULTS)


def _add_fault(
    faults: dict[tuple[Location, str, str], _PlacedFault],
    source: Location,
    key: str,
    message: str,
    hint: str,
    environment: str | None,
) -> None:
    fault = faults.setdefault((source, key, message), _PlacedFault(message, hint))
    if environment is not None:
        fault.environments.append(environment)


def _list_problems(faults: dict[tuple[Location, str, str], _PlacedFault]) -> Iterator[Problem]:
    for (source, key, _), fault in faults.items():
        message = fault.message
        if fault.environments:
            message += f" (in {name_some(sorted(fault.environments))})"
        yield Problem.at(source, key, message, fault.hint)
