"""Load the whole tree: return the desired environments, or every fault of every file (docs/manifests.md).

    walk ── parse each file, check keys and types ── merge over the defaults ── resolve each environment ── compare all

A file becomes a flat mapping of dotted paths to values with their places. So merging is a dict union, and
every later fault still knows the place of its value. The vars are kept apart, because there may be many.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from itertools import groupby

from reconciler.core.policy import Policy, find_pattern_fault
from reconciler.core.portable import find_reserved_fault
from reconciler.core.reserved import find_reserved_hosts
from reconciler.core.slips import is_one_letter_off, make_environment_name
from reconciler.io.collector import without_collector
from reconciler.manifests.merged import Entry, InheritedDefaults, Named, Tree, TreeOptions, Value, Vars
from reconciler.manifests.nodes import File, KeyPath, Position, dotted, parse_file
from reconciler.manifests.quoting import Quoting, SourceLines
from reconciler.manifests.resolve import Resolver
from reconciler.manifests.schema import (
    ENVIRONMENT_PATTERN,
    MAX_PROBLEMS,
    Defaults,
    Manifest,
    check_file,
    find_misplaced_events,
    known_keys,
    near_miss,
)
from reconciler.manifests.shared import find_shared, find_shared_urls, keep_compared
from reconciler.manifests.tokens import MAX_IN_A_FILE, TOKEN_HINTS, TokenSearch, find_texts, find_token_keys
from reconciler.manifests.tree import Folder, read_bytes, walk
from reconciler.manifests.vars import (
    find_foreign_secrets,
    find_other_templates,
    find_unused,
    find_var_fault,
    may_hold_templates,
)
from reconciler.model import EVENTS, Desired, Location, Problem
from reconciler.text.counts import counted

logger = logging.getLogger(__name__)

RESERVED_HINT = "apply refuses to send it, except to a sandbox"
MAX_TOKENS = 2 * MAX_IN_A_FILE


def load_tree(root: str, options: TreeOptions, *, keep: str | None = None) -> Tree:
    """Read and check everything below `root`, also what will not be selected. The merged manifest of `keep` is kept."""
    begun = time.monotonic()
    loader = _Loader(options, keep)
    with without_collector():
        tree = _load(root, options, loader)
    logger.info("manifests: read %d files below %s in %.2f s", loader.files, root, time.monotonic() - begun)
    return tree


def _load(root: str, options: TreeOptions, loader: _Loader) -> Tree:
    folder = walk(root, loader.problems, loader.warnings)
    loader.unquoted.update(loader.problems, loader.warnings)
    if folder is not None:
        loader.load_folder(folder, InheritedDefaults({}, options.policy))
    resolver, desired = loader.resolver, loader.desired
    named = loader.named
    errors = {*loader.problems, *resolver.problems(name for name, _ in loader.vars), *find_shared(named, options)}
    shared = find_shared_urls(desired, options.own_secrets)
    reserved = find_reserved_hosts(desired, hint=RESERVED_HINT) if resolver.has_reserved else ()
    warnings = {*loader.warnings, *reserved, *shared, *resolver.warnings()}
    if resolver.knows_names and not loader.has_unread:
        warnings.update(find_unused(loader.vars, resolver.used))
    names = [*(entry.name for entry in named), *loader.unread_names]
    return Tree(
        desired=tuple(sorted(desired, key=lambda one: (one.wave, one.environment))),
        errors=loader.show(errors, "error"),
        warnings=loader.show(warnings, "warning"),
        policies={entry.name: entry.policy for entry in named},
        names=frozenset(names),
        repeated=frozenset(name for name, count in Counter(names).items() if count > 1),
        kept=loader.kept,
    )


class _Loader:
    """Reads one file after the other. A manifest is resolved at once, so that its values need not be kept."""

    def __init__(self, options: TreeOptions, keep: str | None = None) -> None:
        self._options = options
        self._keep = keep
        self._search = TokenSearch(options.known_tokens, options.known_secrets)
        self._found_tokens: list[str] = []
        self._escaped_tokens_in: set[str] = set()  # names of files whose lines are never quoted
        self.lines = SourceLines()
        self.resolver = Resolver(options, self.lines)
        self.unquoted: set[Problem] = set()  # problems of a file's name: no line of the file is wrong
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.desired: list[Desired] = []
        self.named: list[Named] = []  # the manifests whose environment has a valid name
        self.kept: Entry | None = None  # the whole manifest of `keep`
        self.unread_names: list[str] = []  # the stems of manifests that can't be parsed
        self.vars: list[tuple[str, Value]] = []
        self.files = 0
        self._parsed = 0

    def load_folder(self, folder: Folder, inherited: InheritedDefaults) -> None:
        if folder.defaults is not None:
            inherited = self._load_defaults(folder.defaults, inherited)
        for manifest in folder.manifests:
            self._load_manifest(manifest, inherited)
        for inner in folder.folders:
            self.load_folder(inner, inherited)

    @property
    def has_unread(self) -> bool:
        """Return whether a file could not be parsed, so that its URLs are unknown."""
        return self.files != self._parsed

    def show(self, problems: set[Problem], what: str) -> tuple[Problem, ...]:
        """Return the problems as they are reported: sorted, each with its line unless it is about the file's name."""
        shown = count_rest(sorted(self._without_tokens(problems)), what)
        return tuple(dict.fromkeys(self._show_one(one) for one in shown))

    def _show_one(self, problem: Problem) -> Problem:
        is_quoted = problem not in self.unquoted and problem.file not in self._escaped_tokens_in
        masked = self._quoting.mask_problem(problem)
        return self._quoting.quote(masked) if is_quoted else masked

    @cached_property
    def _quoting(self) -> Quoting:
        """Return what quotes and masks. It is made for the first problem shown, when all files have been read."""
        options = self._options
        return Quoting(self.lines, (*options.known_tokens, *options.known_secrets, *self._found_tokens))

    def _without_tokens(self, problems: set[Problem]) -> set[Problem]:
        """Leave out problems that repeat a token or secret that was found, because it has a problem of its own.

        Case is ignored, because hosts are reported in lower case. If there are too many tokens to look for each of
        them in every problem, only their own problems are reported.
        """
        if not self._found_tokens:
            return problems
        if len(self._found_tokens) > MAX_TOKENS:
            return {one for one in problems if one.hint in TOKEN_HINTS}
        tokens = {token.lower() for token in self._found_tokens}
        shown = ((one, str(one).lower()) for one in problems)
        return {one for one, text in shown if one.hint in TOKEN_HINTS or not any(token in text for token in tokens)}

    def _parse(self, name: str, model: type[Manifest] | type[Defaults]) -> tuple[File, set[KeyPath]] | None:
        self.files += 1
        data = read_bytes(name, self.problems)
        if data is None:
            return None
        logger.debug("manifests: read %s, %d bytes", name, len(data))
        text = data.decode(errors="replace").removeprefix("\ufeff")
        problems, found = self._search.scan(name, text)
        self._found_tokens.extend(found)
        file = None if len(found) >= MAX_IN_A_FILE else parse_file(name, data)
        if not isinstance(file, File):
            self.problems.extend([*problems, *(file or ())])
            return None
        self._parsed += 1
        self.problems.extend(self._search.name_keys(problems, found, file))
        is_escaped = "\\" in text or "''" in text
        if is_escaped:
            self._scan_escaped(file, found)
        may_hold_secrets = is_escaped or self._search.may_hold_secrets(text)
        secrets = self._find_secrets(file, found) if may_hold_secrets else set()
        if may_hold_templates(text):
            foreign = find_foreign_secrets(file, self._options)
            self.problems.extend(foreign.values())
            self.warnings.extend(find_other_templates(file, foreign))
            secrets |= foreign.keys()
        token_keys = find_token_keys(file)
        bad = check_file(file, model)
        self._check_vars(file, bad)
        if not token_keys and not file.problems:
            return file, bad | secrets
        reported = {path for path, _ in token_keys} | secrets
        places = {file.key_positions.get(path) for path in reported} | {file.position(path) for path in reported}
        self.problems.extend(problem for _, problem in token_keys)
        self.problems.extend(one for one in file.problems if (one.line, one.column) not in places)
        return file, bad | reported

    def _check_vars(self, file: File, bad: set[KeyPath]) -> None:
        """Report the vars that no URL could use, and keep the others."""
        written = file.values.get("vars")
        for name, value in written.items() if isinstance(written, dict) else ():
            path = ("vars", name)
            fault = find_var_fault(name, value, self._options) if isinstance(value, str) else None
            if fault is not None:
                file.problem(file.position(path), dotted(path), *fault)
                bad.add(path)
            elif path not in bad:
                self.vars.append((name, Value(value, file.name, *file.position(path))))

    def _find_secrets(self, file: File, tokens: list[str]) -> set[KeyPath]:
        """Report the secrets in a file's URLs and vars, and return their places. A token is already reported."""
        problems, found = self._search.find_secrets(file)
        new = [one for one in found if not any(one in token or token in one for token in tokens)]
        if not new:
            return set()
        self._found_tokens.extend(one for one in new if one not in self._found_tokens)
        self.problems.extend(problem for _, problem in problems)
        return {path for path, _ in problems}

    def _scan_escaped(self, file: File, found: list[str]) -> None:
        """Find tokens written with YAML's escapes: they are in a value or a key, but not in the text of the file."""
        for path, value in find_texts(file.values):
            self._scan_text(file, file.position(path), path, value, found)
        for path, position in file.key_positions.items():
            self._scan_text(file, position, path[:-1], str(path[-1]), found)

    def _scan_text(self, file: File, position: Position, path: KeyPath, text: str, found: list[str]) -> None:
        """Report the tokens in a value or key. `path` is what may be shown: it ends before a key that is a token."""
        problems, tokens = self._search.scan(file.name, text)
        for problem in self._search.name_keys(problems, tokens, file):
            if not any(token in text for token in found):
                self._found_tokens.append(text)
                self._escaped_tokens_in.add(file.name)
                file.problem(position, dotted(path), problem.message, problem.hint)

    def _load_defaults(self, name: str, inherited: InheritedDefaults) -> InheritedDefaults:
        parsed = self._parse(name, Defaults)
        if parsed is None:
            return InheritedDefaults(inherited.values, inherited.policy, broken=True, vars=inherited.vars)
        file, bad = parsed
        policy = self._load_policy(file, bad, inherited.policy)
        values = {**inherited.values, **flatten(file, bad, Defaults)}
        broken = inherited.broken or bool(find_misplaced_events(file))
        return InheritedDefaults(values, policy, broken, {**inherited.vars, **vars_of(file, bad)})

    def _load_policy(self, file: File, bad: set[KeyPath], policy: Policy) -> Policy:
        part = file.values.get("policy")
        if not isinstance(part, dict):
            return policy
        for key in ("allowed_hosts", "denied_hosts"):
            self._check_patterns(file, key, part.get(key))
        if any(path[0] == "policy" for path in bad):
            return policy
        allowed = part.get("allowed_hosts")
        return policy.narrowed(None if allowed is None else tuple(allowed), tuple(part.get("denied_hosts", ())))

    def _check_patterns(self, file: File, key: str, patterns: object) -> None:
        """Report wrong patterns. Items that are not texts are skipped: they already have their own problem."""
        for place, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
            fault = find_pattern_fault(pattern) if isinstance(pattern, str) else None
            if fault is not None:
                position = file.position(("policy", key, place))
                self.problems.append(Problem(file.name, *position, f"policy.{key}", *fault))

    def _load_manifest(self, name: str, inherited: InheritedDefaults) -> None:
        parsed = self._parse(name, Manifest)
        if parsed is None:
            self.unread_names.append(stem_of(name))
            return
        file, bad = parsed
        values = flatten(file, bad, Manifest)
        environment = self._name_of(file, values)
        start = file.key_positions.get(("environment",), file.start)
        entry = Entry(
            name=environment or "nameless",
            nameless=environment is None,
            values={**inherited.values, **values},
            policy=inherited.policy,
            broken=inherited.broken,
            start=Location(name, *start),
            webhooks_at=Location(name, *file.key_positions.get(("webhooks",), file.start)),
            unknown_events=_find_unknown_events(file, bad),
            vars=Vars(vars_of(file, bad), inherited.vars),
        )
        desired = self.resolver.resolve(entry)
        if desired is not None:
            self.desired.append(desired)
        if environment is None:
            return
        if environment == self._keep and self.kept is None:
            self.kept = entry
        self.named.append(keep_compared(entry, desired, self._options))

    def _name_of(self, file: File, values: dict[str, Value]) -> str | None:
        """Return the value of `environment:`, else the file's stem; None, with a problem, if it is not a valid name."""
        given = values.get("environment")
        if given is not None:
            reserved = None if given.value is None else find_reserved_fault(given.value)
            if reserved is not None:
                message = f"the name of the environment {reserved}"
                hint = "choose a name that works on every system: the state may be in a folder"
                self.problems.append(Problem.at(given.source, "environment", message, hint))
            return None if given.value is None else str(given.value)
        stem = stem_of(file.name)
        if re.fullmatch(ENVIRONMENT_PATTERN, stem):
            return stem
        message = "the file's name is not a valid name of an environment"
        meant = make_environment_name(stem) or "…"
        hint = f"write `environment: {meant}` into it: lower-case letters, digits, dot, underscore and hyphen"
        problem = Problem(file.name, 1, 1, "environment", message, hint)
        self.problems.append(problem)
        self.unquoted.add(problem)
        return None


def stem_of(file: str) -> str:
    return file.rpartition("/")[2].rpartition(".")[0]


def _find_unknown_events(file: File, bad: set[KeyPath]) -> frozenset[str]:
    """Return the events that unknown keys were probably meant to be, so that they aren't reported as missing too."""
    if not bad:
        return frozenset()
    unknown = [str(path[1]) for path in bad if path[0] == "webhooks" and len(path) == 2]
    found = {near_miss(name, EVENTS) or "" for name in unknown[:MAX_PROBLEMS]}
    inner = file.values.get("value")
    misplaced = [str(path[0]) for path in find_misplaced_events(file)]
    return frozenset({*found, *misplaced, *(inner if "value" in misplaced and isinstance(inner, dict) else ())})


@lru_cache
def _known(model: type[Manifest] | type[Defaults], path: KeyPath) -> frozenset[str]:
    return frozenset(known_keys(model, path))


def flatten(file: File, bad: set[KeyPath], model: type[Manifest] | type[Defaults]) -> dict[str, Value]:
    """Return a file's values by dotted path, such as `webhooks.receiveMessage`, without policy and vars.

    A value that can't be used is None. All unknown keys share one entry, so that the defaults that are merged into
    thousands of manifests stay small.
    """
    flat: dict[str, Value] = {}
    name, positions = file.name, file.positions
    known = _known(model, ())
    for key, value in file.values.items():
        path: KeyPath = (key,)
        if key not in known:
            flat[""] = Value(None, name, *file.start)
            if is_one_letter_off(key, "vars"):  # its names would all be reported as unknown too
                flat["vars"] = flat[""]
        elif key == "policy" or (key == "vars" and isinstance(value, dict)):
            continue
        elif key == "vars" or not isinstance(value, dict):
            unusable = key == "vars" or path in bad
            flat[key] = Value(None if unusable else value, name, *file.position(path))
        else:
            known_inside = _known(Defaults, path)
            for inner, leaf in value.items():
                if inner in known_inside:
                    here = (key, inner)
                    line, column = positions.get(here) or file.position(here)
                    flat[f"{key}.{inner}"] = Value(None if here in bad else leaf, name, line, column)
            if path in bad or not known_inside.issuperset(value):
                flat[key] = Value(None, name, *file.position(path))
    return flat


def vars_of(file: File, bad: set[KeyPath]) -> dict[str, Value]:
    """Return the vars of a file; one that can't be used is None."""
    written = file.values.get("vars")
    return {
        name: Value(None if ("vars", name) in bad else value, file.name, *file.position(("vars", name)))
        for name, value in (written.items() if isinstance(written, dict) else ())
    }


def count_rest(problems: Iterable[Problem], what: str) -> Iterator[Problem]:
    """Yield the first problems of each file, and one that counts the others, at the place of the last one.

    `what` is error or warning.
    """
    for file, group in groupby(problems, key=lambda problem: problem.file):
        found = list(group)
        yield from found[:MAX_PROBLEMS]
        if len(found) > MAX_PROBLEMS:
            last, left = found[-1], len(found) - MAX_PROBLEMS
            message = f"the file has {counted(left, f'more {what}')}"
            hint = "fix the first ones first"
            yield Problem(file, last.line, last.column, "", message, hint, stands_for=left)
