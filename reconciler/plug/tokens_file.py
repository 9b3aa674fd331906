"""The `tokens_file`: YAML or JSON, environment to token (CONTRACT §3)."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.errors import InputError
from reconciler.io.files import HAS_MODES, TooLargeError, Utf16Error, read_with_stat, without_mark, write_new
from reconciler.model import Problem
from reconciler.plug.secret import Secret

MAX_BYTES = 16 * 1024 * 1024  # ten thousand JWTs take about ten
MAX_DEPTH = 32  # of one level
_DEEP_INDENT = re.compile("[\n\r\x85\u2028\u2029] {32}")


def load_tokens_file(path: Path, shown: str) -> Mapping[str, Secret]:
    """The tokens by environment. `shown` is the path as the setting writes it.

    Raises InputError, which repeats nothing of the content: unreadable, open to group or others, not a
    mapping of texts, a key twice. Where files have no mode (Windows), the user's profile folder protects the file.
    """
    try:
        data, found = read_with_stat(path, MAX_BYTES)
    except TooLargeError:
        raise _fault(shown, "is larger than 16 MiB") from None
    except OSError as error:
        hint = "create it with mode 600, or set `tokens_file` to where it is"
        raise _fault(shown, f"can't be read: {error.strerror or type(error).__name__}", hint) from error
    if HAS_MODES and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise _fault(shown, "group or others may use it", f"chmod 600 {shown}")
    try:
        text = without_mark(data).decode()
    except Utf16Error as error:
        raise _fault(shown, str(error), "store it as UTF-8: in PowerShell, with Set-Content -Encoding utf8") from None
    except UnicodeDecodeError:
        raise _fault(shown, "is not UTF-8", "store it as UTF-8") from None
    return _parse(text, shown)


def write_tokens_file(path: Path, text: str) -> Mapping[str, Secret]:
    """Write a new file that only its owner may read, in place of what was there, and return its tokens.

    Raises InputError, and leaves no file, where the text is not a tokens file.
    """
    path.unlink(missing_ok=True)
    write_new(path, text.encode(), mode=0o600)
    try:
        return load_tokens_file(path, "the tokens")
    except InputError:
        path.unlink()
        raise


def _parse(text: str, shown: str) -> Mapping[str, Secret]:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        fault = _find_nested(text, loader)
        if fault is not None:
            raise _fault(shown, "is nested: a token is no text", "write lines such as production: <token>", line=fault)
        root = yaml.compose(text, Loader=loader)
    # the library's own message may quote the line, so only the line's number is given
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise _fault(shown, "is neither YAML nor JSON", line=line) from None
    except (yaml.YAMLError, RecursionError):
        raise _fault(shown, "is neither YAML nor JSON") from None
    if not isinstance(root, yaml.MappingNode):
        raise _fault(shown, "holds no mapping", "write lines such as production: <token>")
    tokens: dict[str, Secret] = {}
    for key, value in root.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise _fault(shown, "a key is no environment's name", line=line)
        if key.value in tokens:
            raise _fault(shown, "an environment stands twice", line=line)
        if not isinstance(value, yaml.ScalarNode) or value.tag != "tag:yaml.org,2002:str" or not value.value:
            raise _fault(shown, "a token is no text", "put it in quotes", line=line)
        tokens[key.value] = Secret(value.value)
    return tokens


def _find_nested(text: str, loader: Any) -> int | None:
    """The line of what is nested deeper than any tokens file: libyaml's composer recurses in C, to its very end.

    Only a text that may be so is read twice; the stream of events never recurses.
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


def _fault(shown: str, message: str, hint: str = "", line: int = 1) -> InputError:
    return InputError(problems=[Problem(shown, line, 1, "tokens_file", message, hint)])
