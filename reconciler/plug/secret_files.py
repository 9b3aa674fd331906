"""The files of the settings `tokens_file` and `secrets_file`: YAML or JSON that only their owner may use.

See docs/settings.md.

Both share one loader, because the same things may be wrong with them.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from reconciler.errors import InputError
from reconciler.io.files import HAS_MODES, PipeError, TooLargeError, Utf16Error, read_with_stat, without_mark, write_new
from reconciler.model import Fault, Problem
from reconciler.plug.secret import Secret
from reconciler.text.yaml_text import quote

MAX_BYTES = 16 * 1024 * 1024  # ten thousand JWTs take about ten MiB
MAX_DEPTH = 32  # such a file has at most two levels
ROOT = 0
_DEEP_INDENT = re.compile("[\n\r\x85\u2028\u2029] {32}")
_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"


class FileKind(Struct, frozen=True):
    """One of the two kinds of files, in the words of its messages. `setting` is the setting that names the file."""

    setting: str
    entry: str  # what a value is called
    example: str


TOKENS = FileKind("tokens_file", "a token", "production: <token>")
SECRETS = FileKind("secrets_file", "a secret", "PLUG_SECRET_RECEIVE: <secret>")


class SecretValues(Struct, frozen=True):
    """The secrets of a file by name: for all environments, and by environment."""

    general: Mapping[str, Secret] = field(default_factory=dict)
    own: Mapping[str, Mapping[str, Secret]] = field(default_factory=dict)

    def find(self, name: str, environment: str | None) -> Secret | None:
        """Return the environment's own value, else the one for all."""
        own = self.own.get(environment, {}).get(name) if environment is not None else None
        return own or self.general.get(name)

    def all_values(self) -> Iterator[Secret]:
        yield from self.general.values()
        for own in self.own.values():
            yield from own.values()


def load_tokens_file(path: Path, shown: str) -> Mapping[str, Secret]:
    """Return the tokens by environment. `shown` is the path as the setting writes it.

    Raises InputError, which repeats nothing of the content, if the file is unreadable, open to other users, not a
    mapping of texts, or has a key twice. On Windows, files have no such owner and mode: there the user's profile
    folder protects the file.
    """
    return parse_tokens(_read_text(path, shown, TOKENS), shown)


def parse_tokens(text: str, shown: str) -> Mapping[str, Secret]:
    """Return the tokens in the text of a tokens file. `shown` is its name for messages. Raises InputError."""
    entries = _entries_of(_compose(text, shown, TOKENS), TOKENS, shown)
    return {name: _text_of(value, TOKENS, shown) for name, value in entries}


def load_secrets_file(path: Path, shown: str) -> SecretValues:
    """Return the secrets: an entry is a name with its value, or an environment with a mapping of those.

    Raises InputError as `load_tokens_file` does.
    """
    return parse_secrets(_read_text(path, shown, SECRETS), shown)


def parse_secrets(text: str, shown: str) -> SecretValues:
    """Return the secrets in the text of a secrets file. `shown` is its name for messages. Raises InputError."""
    import yaml

    general: dict[str, Secret] = {}
    own: dict[str, Mapping[str, Secret]] = {}
    for name, value in _entries_of(_compose(text, shown, SECRETS), SECRETS, shown):
        if isinstance(value, yaml.MappingNode):
            own[name] = {key: _text_of(one, SECRETS, shown) for key, one in _entries_of(value, SECRETS, shown)}
        else:
            general[name] = _text_of(value, SECRETS, shown)
    return SecretValues(general, own)


def write_secrets_file(
    path: Path, shown: str, general: Mapping[str, str], own: Mapping[str, Mapping[str, str]]
) -> None:
    """Write a new file of secrets that only its owner may read: `general` by name, `own` by environment and name.

    Raises InputError, and changes nothing, if the path exists or can't be written.
    """
    lines = [f"{name}: {quote(value)}" for name, value in general.items()]
    for environment, secrets in own.items():
        lines += [f"{environment}:", *(f"  {name}: {quote(value)}" for name, value in secrets.items())]
    try:
        write_new(path, "".join(f"{line}\n" for line in lines).encode(), mode=0o600)
    except FileExistsError:
        raise InputError.of("--secrets-out", f"{shown} exists", "it is never overwritten: name a new file") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        hint = "name a file in a folder that can be written"
        raise InputError.of("--secrets-out", f"{shown} can't be written: {reason}", hint) from error


# --- the file ----------------------------------------------------------------------------------------


def _read_text(path: Path, shown: str, kind: FileKind) -> str:
    try:
        data, found = read_with_stat(path, MAX_BYTES)
    except TooLargeError:
        raise _error(kind, shown, "is larger than 16 MiB") from None
    except PipeError as error:
        hint = "give it a file: `sops exec-file --no-fifo` makes one that only you may use"
        raise _error(kind, shown, "is a pipe, which can be read only once", hint) from error
    except OSError as error:
        hint = f"create it with mode 600, or set `{kind.setting}` to where it is"
        raise _error(kind, shown, f"can't be read: {error.strerror or type(error).__name__}", hint) from error
    if HAS_MODES:
        fault = find_access_fault(found.st_mode, found.st_uid, os.geteuid(), shown)
        if fault is not None:
            raise _error(kind, shown, *fault)
    try:
        return without_mark(data).decode()
    except Utf16Error as error:
        hint = "store it as UTF-8: in PowerShell, with Set-Content -Encoding utf8"
        raise _error(kind, shown, str(error), hint) from None
    except UnicodeDecodeError:
        raise _error(kind, shown, "is not UTF-8", "store it as UTF-8") from None


def find_access_fault(mode: int, owner: int, user: int, shown: str) -> Fault | None:
    """Return why others than `user` may use a file of this mode and owner. Root is allowed: it may read every file."""
    if owner not in (user, ROOT):
        hint = "it must belong to the user who runs this, or to root: make a copy of your own, with mode 600"
        return Fault("belongs to another user", hint)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Fault("group or others may use it", f"chmod 600 {shown}")
    return None


# --- the content -------------------------------------------------------------------------------------


def _compose(text: str, shown: str, kind: FileKind) -> Any:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        nested = _find_nested(text, loader)
        if nested is not None:
            raise _error(kind, shown, "is nested too deeply", f"write lines such as {kind.example}", nested)
        return yaml.compose(text, Loader=loader)
    # the library's own message may quote the line, so only the line's number is given
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise _error(kind, shown, "is neither YAML nor JSON", line=line) from None
    except (yaml.YAMLError, RecursionError):
        raise _error(kind, shown, "is neither YAML nor JSON") from None


def _find_nested(text: str, loader: Any) -> int | None:
    """Return the line of the first node that is nested too deeply, as libyaml's composer would overflow its C stack.

    It is looked for in the stream of events, which never recurses. Most texts can't be so deep and are not read twice.
    """
    import yaml

    if sum(map(text.count, ("[", "{", "- ", "? "))) <= MAX_DEPTH and not _DEEP_INDENT.search(text):
        return None
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            return event.start_mark.line + 1 if event.start_mark else 1
    return None


def _entries_of(node: Any, kind: FileKind, shown: str) -> Iterator[tuple[str, Any]]:
    """Yield the keys and value nodes of a mapping. Raises InputError for a key that appears twice."""
    import yaml

    if not isinstance(node, yaml.MappingNode):
        raise _error(kind, shown, "is not a mapping", f"write lines such as {kind.example}")
    seen: set[str] = set()
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE:
            raise _error(kind, shown, "a key is not a name", f"write lines such as {kind.example}", line)
        if key.value in seen:
            raise _error(kind, shown, "a name appears twice", "keep one of the two", line)
        seen.add(key.value)
        yield key.value, value


def _text_of(node: Any, kind: FileKind, shown: str) -> Secret:
    import yaml

    if not isinstance(node, yaml.ScalarNode) or node.tag != _TEXT or not node.value:
        hint = f"write lines such as {kind.example}, a number in quotes"
        raise _error(kind, shown, f"{kind.entry} is not a text", hint, node.start_mark.line + 1)
    return Secret(node.value)


def _error(kind: FileKind, shown: str, message: str, hint: str = "", line: int = 1) -> InputError:
    return InputError(problems=[Problem(shown, line, 1, kind.setting, message, hint)])
