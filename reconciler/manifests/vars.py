"""Checks of vars, and of placeholders written in the syntax of another tool (docs/manifests.md)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from msgspec.structs import replace

from reconciler.core.fill import ENVIRONMENT, is_var_name
from reconciler.core.slips import TOKEN_HINT, find_foreign_secret
from reconciler.core.urls import find_other_template
from reconciler.manifests.file_names import DEFAULTS
from reconciler.manifests.merged import TreeOptions, Value
from reconciler.manifests.nodes import File, KeyPath, dotted
from reconciler.model import EVENTS, Fault, Location, Problem
from reconciler.text.counts import counted

_OTHER_TEMPLATES = ("{{", "${", "$(", "<", "%(")  # the first characters of each syntax
_SIGNS = ("$", "<", "%", "{{")  # most files hold none of them; a search for a single character is the quickest

MAX_SHOWN = 40  # characters of a template


def find_var_fault(name: str, value: str, options: TreeOptions) -> Fault | None:
    """Return what is wrong with a var's name or value."""
    if name == ENVIRONMENT:
        return Fault("is filled in by itself", "choose another name")
    if not is_var_name(name):
        return Fault("is not a valid name of a var", "letters, digits, _ and -, a letter first")
    if name.upper().startswith(options.secret_prefix.upper()):
        hint = f"write {{secret:{name}}} in the URL: the value comes from the variable, and no file holds it"
        return Fault("has the name of a secret, but a var's value is shown in every plan", hint)
    if name.upper().startswith(options.token_prefix.upper()):
        hint = "the token comes from the variable that token_env names, and is in no URL"
        return Fault("has the name of a token, but a var's value is shown in every plan", hint)
    if "{" in value or "}" in value:
        return Fault("holds a brace", "a var's value is literal; write it out")
    return None


def find_unused(found: Iterable[tuple[str, Value]], used: Iterable[tuple[frozenset[str], str]]) -> Iterator[Problem]:
    """Yield a warning for each var that no URL below its file names. `used` has sets of names, each with a manifest."""
    reached: dict[str, set[frozenset[str]]] = defaultdict(set)
    for names, place in used:
        while names not in reached[place]:
            reached[place].add(names)
            place = place.rpartition("/")[0]
    named = {place: frozenset[str]().union(*several) for place, several in reached.items()}
    for name, value in found:
        folder, _, file = value.source.file.rpartition("/")
        if name not in named.get(folder if file == DEFAULTS else value.source.file, ()):
            hint = f"write {{{name}}} in a URL, or remove the var"
            yield Problem.at(value.source, f"vars.{name}", "no URL below this file names this var", hint)


def may_hold_templates(text: str) -> bool:
    """Return whether a file's text may hold a placeholder of another tool."""
    return any(map(text.__contains__, _SIGNS))


def find_foreign_secrets(file: File, options: TreeOptions) -> dict[KeyPath, Problem]:
    """Return a problem for each URL and var that names a secret or a token in the syntax of another tool."""
    problems: dict[KeyPath, Problem] = {}
    for part in ("webhooks", "vars"):
        written = file.values.get(part)
        for key, text in written.items() if isinstance(written, dict) else ():
            find = find_secret_in_var if part == "vars" else find_secret_in_url
            fault = find(text, options) if isinstance(text, str) else None
            if fault is not None:
                path = (part, key)
                problems[path] = Problem.at(Location(file.name, *file.position(path)), dotted(path), *fault)
    return problems


def find_secret_in_url(text: str, options: TreeOptions) -> Fault | None:
    """Return the fault of a URL that names a secret or a token in the syntax of another tool."""
    return find_foreign_secret(text, options.secret_prefix, options.token_prefix)


def find_secret_in_var(text: str, options: TreeOptions) -> Fault | None:
    """Return the fault of a var that names a secret or a token in the syntax of another tool."""
    fault = find_secret_in_url(text, options)
    if fault is None or fault.hint == TOKEN_HINT:
        return fault
    return Fault(fault.message, f"a var's value is literal; in the URL, {fault.hint}")


def find_other_templates(file: File, reported: Collection[KeyPath]) -> Iterator[Problem]:
    """Yield a warning for placeholders of another tool in a file's URLs: they are sent as they are written.

    Each other tool has one warning, at the first URL, which counts the others. URLs in `reported` are left out.
    """
    found: dict[str, list[Problem]] = {}
    for sign, problem in _find_each_template(file, reported):
        found.setdefault(sign, []).append(problem)
    for first, *others in found.values():
        more = f"; so are those of {counted(len(others), 'more URL')} of this file" if others else ""
        yield replace(first, message=first.message + more)


def hint_at_template(name: str) -> str:
    """Return what to write in place of a name in the syntax of another tool."""
    if is_var_name(name):
        return f"write {{{name}}} to have it filled in"
    if name.lower().startswith("secret"):
        return "write {secret:PLUG_SECRET_NAME} to have a secret filled in"
    return "write the text itself, or {NAME} with NAME under vars"


def _find_each_template(file: File, reported: Collection[KeyPath]) -> Iterator[tuple[str, Problem]]:
    """Yield the first characters of each template, and the warning about it."""
    webhooks = file.values.get("webhooks")
    for event in EVENTS:
        url = webhooks.get(event) if isinstance(webhooks, dict) else None
        path = ("webhooks", str(event))
        found = find_other_template(url) if isinstance(url, str) and path not in reported else None
        if found is not None:
            shown, name = found
            what = "with single braces" if shown.startswith("{{") else "as it is written"
            message = f"{shown if len(shown) <= MAX_SHOWN else shown[:MAX_SHOWN] + '…'} is sent {what}, not filled in"
            if shown.startswith("${"):
                message = f"the $ of {shown} is sent as it is written"
            sign = next(sign for sign in _OTHER_TEMPLATES if shown.startswith(sign))
            place = Location(file.name, *file.position(path))
            yield sign, Problem.at(place, dotted(path), message, hint_at_template(name))
