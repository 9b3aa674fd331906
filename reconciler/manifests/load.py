"""The whole tree -> desired environments, or every fault of every file (CONTRACT §2).

    walk ── parse each file, check keys and types ── merge defaults beneath ── resolve each environment ── compare all

A file becomes a flat mapping of dotted paths to values with their places, so that merging is a dict union and
every later fault still knows where its value stands.
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any

from reconciler.core.policy import Policy, find_pattern_fault
from reconciler.core.reserved import find_reserved_hosts
from reconciler.io.collector import without_collector
from reconciler.manifests.merged import Entry, InheritedDefaults, Tree, TreeOptions, Value
from reconciler.manifests.nodes import File, Path, Position, parse_file
from reconciler.manifests.resolve import Resolver
from reconciler.manifests.schema import ENVIRONMENT_PATTERN, Defaults, Manifest, check_file, dotted, near_miss
from reconciler.manifests.shared import find_shared, find_shared_urls
from reconciler.manifests.tokens import HINT as TOKEN_HINT
from reconciler.manifests.tokens import MAX_IN_A_FILE, TokenSearch, find_texts, find_token_keys
from reconciler.manifests.tree import Folder, read_bytes, walk
from reconciler.model import EVENTS, Location, Problem

logger = logging.getLogger(__name__)

RESERVED_HINT = "apply refuses to send it, except to a sandbox"
MAX_TOKENS = 2 * MAX_IN_A_FILE
_EVENT_NAMES = tuple(str(event) for event in EVENTS)


def load_tree(root: str, options: TreeOptions, *, keep: str | None = None) -> Tree:
    """Read and check everything below `root`, whatever will be selected of it, and keep one merged manifest."""
    begun = time.monotonic()
    loader = _Loader(options)
    with without_collector():
        tree = _load(root, options, loader, keep)
    logger.info("manifests: read %d files below %s in %.2f s", loader.files, root, time.monotonic() - begun)
    return tree


def _load(root: str, options: TreeOptions, loader: _Loader, keep: str | None) -> Tree:
    folder = walk(root, loader.problems)
    if folder is not None:
        loader.load_folder(folder, InheritedDefaults({}, options.policy))
    resolver = Resolver(options)
    named = [entry for entry in loader.entries if not entry.nameless]
    desired = [one for one in (resolver.resolve(entry) for entry in loader.entries) if one is not None]
    errors = {*loader.problems, *resolver.problems(), *find_shared(named, options)}
    warnings = {*find_reserved_hosts(desired, hint=RESERVED_HINT), *find_shared_urls(desired)}
    return Tree(
        desired=tuple(sorted(desired, key=lambda one: (one.wave, one.environment))),
        errors=tuple(sorted(loader.without_tokens(errors))),
        warnings=tuple(sorted(loader.without_tokens(warnings))),
        names=frozenset(entry.name for entry in named),
        kept=next((entry for entry in named if entry.name == keep), None),
    )


class _Loader:
    def __init__(self, options: TreeOptions) -> None:
        self._search = TokenSearch(options.known_tokens)
        self._found_tokens: list[str] = []
        self.problems: list[Problem] = []
        self.entries: list[Entry] = []
        self.files = 0

    def load_folder(self, folder: Folder, beneath: InheritedDefaults) -> None:
        if folder.defaults is not None:
            beneath = self._load_defaults(folder.defaults, beneath)
        for manifest in folder.manifests:
            self._load_manifest(manifest, beneath)
        for inner in folder.folders:
            self.load_folder(inner, beneath)

    def without_tokens(self, problems: set[Problem]) -> set[Problem]:
        """Whatever repeats a token that was found is left out: the token's own problem stands for it. Case does not
        count, as hosts are told in lower case.

        Where more were found than can be looked for in every problem, the tokens are all that is told.
        """
        if not self._found_tokens:
            return problems
        if len(self._found_tokens) > MAX_TOKENS:
            return {one for one in problems if one.hint == TOKEN_HINT}
        tokens = {token.lower() for token in self._found_tokens}
        shown = ((one, str(one).lower()) for one in problems)
        return {one for one, text in shown if not any(token in text for token in tokens)}

    def _parse(self, name: str, model: type[Manifest] | type[Defaults]) -> tuple[File, set[Path]] | None:
        data = read_bytes(name, self.problems)
        if data is None:
            return None
        self.files += 1
        logger.debug("manifests: read %s, %d bytes", name, len(data))
        problems, found = self._search.scan(name, data.decode(errors="replace").removeprefix("\ufeff"))
        self.problems.extend(problems)
        self._found_tokens.extend(found)
        if len(found) >= MAX_IN_A_FILE:
            return None
        file = parse_file(name, data)
        if isinstance(file, list):
            self.problems.extend(file)
            return None
        if b"\\" in data or b"''" in data:
            self._scan_escaped(file, found)
        token_keys = find_token_keys(file)
        bad = check_file(file, model)
        if not token_keys and not file.problems:
            return file, bad
        told = {path for path, _ in token_keys}
        places = {file.key_positions[path] for path in told} | {file.position(path) for path in told}
        self.problems.extend(problem for _, problem in token_keys)
        self.problems.extend(one for one in file.problems if (one.line, one.column) not in places)
        return file, bad | told

    def _scan_escaped(self, file: File, found: list[str]) -> None:
        """A token that is written with YAML's escapes stands in no line of the text, but in a value or a key."""
        for path, value in find_texts(file.values):
            self._scan_text(file, file.position(path), path, value, found)
        for path, position in file.key_positions.items():
            self._scan_text(file, position, path[:-1], str(path[-1]), found)

    def _scan_text(self, file: File, position: Position, path: Path, text: str, found: list[str]) -> None:
        """`path` is what may be told of the place: it ends before a key that is the token itself."""
        for problem in self._search.scan(file.name, text)[0]:
            if not any(token in text for token in found):
                self._found_tokens.append(text)
                file.problem(position, dotted(path), problem.message, problem.hint)

    def _load_defaults(self, name: str, beneath: InheritedDefaults) -> InheritedDefaults:
        parsed = self._parse(name, Defaults)
        if parsed is None:
            return InheritedDefaults(beneath.values, beneath.policy, broken=True)
        file, bad = parsed
        policy = self._load_policy(file, bad, beneath.policy)
        return InheritedDefaults({**beneath.values, **flatten(file, bad)}, policy, beneath.broken)

    def _load_policy(self, file: File, bad: set[Path], policy: Policy) -> Policy:
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
        """Of a list that holds something else too, the texts: one run tells every fault."""
        for place, pattern in enumerate(patterns if isinstance(patterns, list) else ()):
            fault = find_pattern_fault(pattern) if isinstance(pattern, str) else None
            if fault is not None:
                position = file.position(("policy", key, place))
                self.problems.append(Problem(file.name, *position, f"policy.{key}", *fault))

    def _load_manifest(self, name: str, beneath: InheritedDefaults) -> None:
        parsed = self._parse(name, Manifest)
        if parsed is None:
            return
        file, bad = parsed
        values = flatten(file, bad)
        environment = self._name_of(file, values)
        start = file.key_positions.get(("environment",), file.start)
        self.entries.append(
            Entry(
                name=environment or "nameless",
                nameless=environment is None,
                values={**beneath.values, **values},
                policy=beneath.policy,
                broken=beneath.broken,
                start=Location(name, *start),
                webhooks_at=Location(name, *file.key_positions.get(("webhooks",), file.start)),
                unknown_events=frozenset(_meant(path) for path in bad if path[0] == "webhooks" and len(path) == 2),
            )
        )

    def _name_of(self, file: File, values: dict[str, Value]) -> str | None:
        """`environment:`, else the file's stem; None where that is no name."""
        given = values.get("environment")
        if given is not None:
            return None if given.value is None else str(given.value)
        stem = file.name.rpartition("/")[2].rpartition(".")[0]
        if re.fullmatch(ENVIRONMENT_PATTERN, stem):
            return stem
        message = "the file's name is no name of an environment"
        hint = "write `environment: …` into it: lower-case letters, digits, dot, underscore and hyphen"
        self.problems.append(Problem(file.name, 1, 1, "environment", message, hint))
        return None


def _meant(path: Path) -> str:
    """The event that an unknown key was probably meant to be: it isn't missed a second time."""
    return near_miss(str(path[1]), _EVENT_NAMES) or ""


def flatten(file: File, bad: set[Path]) -> dict[str, Value]:
    """`webhooks.receiveMessage` and the like, with None for what can't be used."""
    flat: dict[str, Value] = {}

    def add(path: Path, value: Any) -> None:
        position = file.positions.get(path) or file.position(path)
        usable = None if path in bad else value
        flat[".".join(map(str, path))] = Value(usable, Location(file.name, *position))

    for key, value in file.values.items():
        if key == "policy":
            continue
        if isinstance(value, dict):
            for inner, leaf in value.items():
                add((key, inner), leaf)
            if (key,) in bad:
                add((key,), None)
        else:
            add((key,), value)
    return flat
