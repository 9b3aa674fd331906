"""A YAML file as plain values with positions, without YAML's silent conversions (docs/manifests.md).

PyYAML silently keeps the last of duplicate keys, turns `on` into true and `010` into 8. So only its composer
is used (libyaml's, in C), and this module walks the nodes.
"""

from __future__ import annotations

import operator
import re
from array import array
from bisect import bisect_right
from typing import Any, TypeAlias

import yaml
from msgspec import Struct, field
from yaml import MappingNode, ScalarNode, SequenceNode

from reconciler.model import Fault, Problem

MAX_ALIASES = 100
MAX_NODES = 50_000  # keys and values; a node takes 20 times the memory of its text
MAX_PATH = 1_000  # characters of a path in a problem: thousands of problems may be about one key of a megabyte
MAX_DEPTH = 32  # a manifest has three levels; libyaml's composer recurses in C, and must not overflow its stack

KeyPath: TypeAlias = tuple[str | int, ...]
Position: TypeAlias = tuple[int, int]  # line and column, from 1

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PARSER: Any = yaml.cyaml.CParser if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader  # type: ignore[attr-defined]
_TAG = "tag:yaml.org,2002:"
_TEXT, _LIST, _MAPPING = _TAG + "str", _TAG + "seq", _TAG + "map"
_IMPLICIT = {first: tuple(resolvers) for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}


class _Composer(_PARSER):  # type: ignore[misc]
    """A composer without PyYAML's constructor and path resolvers, which are not used here and take half of the time.

    The two methods of the path resolvers are called for each node, so they are functions in C that change nothing.
    """

    descend_resolver = operator.is_
    ascend_resolver = bool

    def resolve(self, kind: type, value: Any, implicit: Any) -> str:
        if kind is not ScalarNode:
            return _LIST if kind is SequenceNode else _MAPPING
        if implicit[0] and (first := value[:1]) in _IMPLICIT:
            for tag, pattern in _IMPLICIT[first]:
                if pattern.match(value):
                    return str(tag)
        return _TEXT


def is_read_as_text(value: str) -> bool:
    """Return whether YAML 1.1 reads a scalar without quotes as a text, not as a number, a date, true or nothing."""
    return not any(pattern.match(value) for _, pattern in _IMPLICIT.get(value[:1], ()))


_LINE_END = re.compile("\n")
# What shows a reviewer another text than YAML reads: a line end for YAML alone, or a change of the writing direction.
_HIDING = re.compile("\r(?!\n)|[\x85\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_ENDS = "\r\x85\u2028\u2029"
_DEEP_BLANKS = " " * MAX_DEPTH
_DEEP_INDENT = re.compile(f"\n{_DEEP_BLANKS}")
MIN_NODE_CHARS = 2  # a node takes at least so many characters
_GIT_CRYPT = b"\x00GITCRYPT\x00"
_PLAIN = "decrypt it: a manifest is plain text. Secrets come from {secret:NAME}, tokens from token_env"
_OTHER_FILES = {
    "version https://git-lfs.github.com/spec/": Fault(
        "is a pointer of Git LFS, not the file itself", "run `git lfs pull`; in a workflow, check out with `lfs: true`"
    ),
    "$ANSIBLE_VAULT;": Fault("is encrypted by Ansible Vault", _PLAIN),
    "-----BEGIN AGE ENCRYPTED FILE-----": Fault("is encrypted by age", _PLAIN),
    "-----BEGIN PGP MESSAGE-----": Fault("is encrypted by PGP", _PLAIN),
}
_OTHER_BEGINNINGS = tuple(_OTHER_FILES)
_CONFLICT = re.compile(r"^(?:<{7}|>{7})(?: |$)", re.MULTILINE)
_SOPS = re.compile(r"^sops:", re.MULTILINE)
_DECIMAL = re.compile(r"0|[1-9][0-9]*", re.ASCII)
# Everything but `[\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]`: a set with so many
# members takes ten times as long to compile.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]")
_USUAL = bytes(range(0x20, 0x7F)) + b"\n"  # most files hold nothing else, and are not searched for what YAML forbids
_WORDS = {"int": "a number", "float": "a number", "bool": "true or false", "null": "nothing", "timestamp": "a date"}


class Lines:
    """A text as lines. They end where git and editors end them: a file with other line ends of YAML is refused.

    Only the start of each line is kept: a megabyte of line ends must not become half a million texts.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = array("L", [0])
        self._starts.extend(match.end() for match in _LINE_END.finditer(text))

    def line(self, number: int) -> str | None:
        """Return a line without its end; None if the text has fewer lines."""
        if not 1 <= number <= len(self._starts):
            return None
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self._text)
        return self._text[start:end].rstrip("\r\n")

    def locate(self, offset: int) -> Position:
        """Return line and column of an offset."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


class AmbiguousScalar(Struct, frozen=True):
    """A scalar that YAML 1.1 reads differently than a person would: it is always an error, and never converted."""

    what: str


class File(Struct):
    """A parsed file: the values of its root mapping, and the position of each."""

    name: str
    values: dict[str, Any] = field(default_factory=dict)
    positions: dict[KeyPath, Position] = field(default_factory=dict)  # of values
    key_positions: dict[KeyPath, Position] = field(default_factory=dict)
    start: Position = (1, 1)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, position: Position, key: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(self.name, *position, key, message, hint))

    def position(self, path: KeyPath) -> Position:
        """Return a value's position. Inside what an alias repeats, it is that of the nearest value around it."""
        while path:
            if path in self.positions:
                return self.positions[path]
            path = path[:-1]
        return self.start


def parse_file(name: str, data: bytes) -> File | list[Problem]:
    """Return the file, with the problems that leave the rest readable; else the problems that don't."""
    text = _decode(name, data)
    if isinstance(text, Problem):
        return [text]
    fault = _find_other_content(name, text) or _find_event_fault(name, text)
    if fault is not None:
        return [fault]
    try:
        root = yaml.compose(text, Loader=_Composer)
    except yaml.MarkedYAMLError as error:
        return [_translate(name, error)]
    file = File(name)
    if root is None or (isinstance(root, ScalarNode) and root.tag == _TAG + "null"):
        return [Problem(name, 1, 1, "", "the file is empty", "write {} to take everything from _defaults.yaml")]
    file.start = _position(root)
    if not isinstance(root, MappingNode):
        return [Problem(name, *file.start, "", "is not a mapping", "write lines such as `environment: production`")]
    _NodeWalk(file).mapping(root, ())
    return file


def _decode(name: str, data: bytes) -> str | Problem:
    if data.startswith(_GIT_CRYPT):
        return Problem.in_file(name, "", "is encrypted by git-crypt", "run `git-crypt unlock` in this repository")
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        return Problem(name, before.count(b"\n") + 1, column, "", "is not UTF-8", "save the file as UTF-8")
    found = _FORBIDDEN.search(text) if data.translate(None, _USUAL) else None
    if found is not None:
        return Problem(name, *Lines(text).locate(found.start()), "", "holds a character that YAML forbids", "remove it")
    found = None if text.isascii() and "\r" not in text else _HIDING.search(text)
    if found is not None:
        return Problem(name, *Lines(text).locate(found.start()), "", *_explain_hiding(found[0]))
    return text


def _explain_hiding(character: str) -> Fault:
    code = f"U+{ord(character):04X}"
    if character == "\r":
        return Fault(
            f"holds a carriage return ({code}) that ends a line for YAML alone", "use Unix's or Windows' line ends"
        )
    if character in _ENDS:
        return Fault(f"holds a character ({code}) that ends a line for YAML alone", "remove it")
    return Fault(f"holds a character ({code}) that reverses the text that follows on a screen", "remove it")


def _find_other_content(name: str, text: str) -> Problem | None:
    """Return the problem of a file that is not a manifest at all: a git conflict, an LFS pointer, an encrypted text."""
    if text.startswith(_OTHER_BEGINNINGS):
        fault = next(fault for beginning, fault in _OTHER_FILES.items() if text.startswith(beginning))
        return Problem(name, 1, 1, "", *fault)
    conflict = _CONFLICT.search(text) if "<<<<<<<" in text or ">>>>>>>" in text else None
    if conflict is not None:
        hint = "resolve the conflict: keep what is right, and remove the lines with <<<<<<<, ======= and >>>>>>>"
        return Problem(name, *Lines(text).locate(conflict.start()), "", "holds a conflict marker of git", hint)
    sops = _SOPS.search(text) if "ENC[" in text else None
    if sops is not None:
        return Problem(name, *Lines(text).locate(sops.start()), "sops", "the file is encrypted with sops", _PLAIN)
    return None


def _find_event_fault(name: str, text: str) -> Problem | None:
    """Return the first tag, too many aliases or nodes, or too deep nesting.

    They are found in the stream of events, which never recurses. Most files can hold none of these, and are not
    read twice.
    """
    if len(text) > MIN_NODE_CHARS * MAX_NODES:
        return _find_in_events(name, text)
    # each indented level takes a line, and is at least one character deeper than the level around it
    if _DEEP_BLANKS in text and _DEEP_INDENT.search(text):
        return _find_in_events(name, text)
    if ("[" in text or "- " in text or "? " in text) and sum(map(text.count, ("[", "- ", "? "))) > MAX_DEPTH:
        return _find_in_events(name, text)
    if text.count("{") > 10 * MAX_DEPTH or "!" in text or "&" in text or "*" in text:
        return _find_in_events(name, text)
    return None


def _find_in_events(name: str, text: str) -> Problem | None:
    depth = aliases = nodes = 0
    try:
        for event in yaml.parse(text, Loader=LOADER):
            if isinstance(event, yaml.AliasEvent):
                aliases += 1
            elif isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            nodes += isinstance(event, yaml.NodeEvent)
            if nodes > MAX_NODES:
                message = f"holds more than {MAX_NODES:,} keys and values"
                return Problem(name, *_mark(event.start_mark), "", message, "a manifest holds one environment")
            fault = _judge_event(event, depth, aliases)
            if fault is not None:
                return Problem(name, *_mark(event.start_mark), "", *fault)
    except yaml.MarkedYAMLError as error:
        return _translate(name, error)
    return None


def _judge_event(event: yaml.Event, depth: int, aliases: int) -> Fault | None:
    if depth > MAX_DEPTH:
        return Fault("is nested too deeply", "a manifest has three levels")
    if aliases > MAX_ALIASES:
        return Fault(f"has more than {MAX_ALIASES} aliases", "put what is shared into _defaults.yaml")
    if getattr(event, "tag", None) is not None:
        return Fault("has a tag (!…)", "write plain data; put a text with ! in quotes")
    return None


def _mark(mark: Any) -> Position:
    """Return the position of a mark of PyYAML, which counts from 0."""
    return (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)


def _translate(name: str, error: yaml.MarkedYAMLError) -> Problem:
    """Return the problem of a YAML error. Errors without a mark come from the reader; `_decode` refuses those first."""
    mark = error.problem_mark or error.context_mark
    line, column = _mark(mark)
    if error.problem == "but found another document":
        return Problem(name, line, column, "", "holds more than one document", "one file, one environment")
    hint = "look at this line and the one before"
    if error.problem is not None and "cannot start any token" in error.problem:
        hint = "indent with spaces, never with tabs; put a text that begins with @, ` or % in quotes"
    elif error.problem is not None and "mapping values are not allowed" in error.problem:
        hint = "put a text that holds a colon and a blank into quotes; else look at the indentation of this line"
    return Problem(name, line, column, "", f"is not valid YAML: {error.problem}", hint)


def _position(node: yaml.Node) -> Position:
    return _mark(node.start_mark)


class _NodeWalk:
    """The walk from nodes to values. A node that aliases repeat is walked once; one that contains itself is refused."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._done: dict[int, Any] = {}
        self._open: set[int] = set()

    def mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        file = self._file
        values: dict[str, Any] = {} if path else file.values
        for key_node, value_node in node.value:
            if key_node.tag != _TEXT or not isinstance(key_node, ScalarNode):
                self._refuse_key(key_node, path)
                continue
            key = key_node.value
            here = (*path, key)
            if key in values:
                first = file.key_positions[here]
                message = f"appears twice: also in line {first[0]}"
                file.problem(_position(key_node), dotted(here), message, "YAML would keep the last one silently")
                continue
            # PyYAML counts from 0
            mark = key_node.start_mark
            file.key_positions[here] = (mark.line + 1, mark.column + 1)
            mark = value_node.start_mark
            file.positions[here] = (mark.line + 1, mark.column + 1)
            values[key] = value_node.value if value_node.tag == _TEXT else self._value(value_node, here)
        return values

    def _refuse_key(self, node: yaml.Node, path: KeyPath) -> None:
        position = _position(node)
        if not isinstance(node, ScalarNode):
            self._file.problem(position, dotted(path), "a key is not a text", "write name: value")
            return
        key = dotted((*path, node.value))
        if node.tag == _TAG + "merge":
            self._file.problem(position, key, "merge keys are not read", "put what is shared into _defaults.yaml")
        else:
            what = _WORDS.get(node.tag.removeprefix(_TAG), "something else")
            self._file.problem(position, key, f"YAML reads a key as {what}", "put it in quotes")

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        if isinstance(node, ScalarNode):
            return scalar_of(node)
        if id(node) in self._open:
            return AmbiguousScalar("an alias inside its own anchor")
        if id(node) in self._done:
            return self._done[id(node)]
        self._open.add(id(node))
        if isinstance(node, MappingNode):
            value: Any = self.mapping(node, path)
        else:
            value = []
            for place, item in enumerate(node.value):
                self._file.positions[(*path, place)] = _position(item)
                value.append(self._value(item, (*path, place)))
        self._open.discard(id(node))
        self._done[id(node)] = value
        return value


def scalar_of(node: ScalarNode) -> Any:
    """Return a text, a plain decimal, or true or false; else `AmbiguousScalar`, as YAML 1.1 readers disagree on it."""
    tag = node.tag.removeprefix(_TAG)
    if tag == "str":
        return node.value
    if tag == "int" and _DECIMAL.fullmatch(node.value) and len(node.value) < 19:
        return int(node.value)
    if tag == "bool":
        return node.value.lower() in ("true", "yes", "on")
    return AmbiguousScalar(_WORDS.get(tag, "something else"))


def dotted(path: KeyPath) -> str:
    """Return the first `MAX_PATH` characters of a path as messages show it, such as `webhooks.receiveMessage`.

    `Problem.shortened` cuts it further, after tokens are masked. The start of one is found and masked like the whole.
    """
    return ".".join(str(part)[:MAX_PATH] for part in path)[:MAX_PATH]
