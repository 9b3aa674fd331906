"""The scripts that a shell user would write for the same job, and why one can't be measured."""

from __future__ import annotations

import shutil
import subprocess

READ_PEER = "script: yq | jq | comm"
READ_TOOLS = ("yq", "jq", "comm")
# yq and jq turn every file into a line, and the lines are compared. Nothing is checked, and errors have no place.
READ_SCRIPT = """\
set -eu
grep '[.]yaml$' files | xargs yq -cS '{environment, webhooks}' > desired.lines
grep '[.]json$' files | xargs jq -cS '{environment, webhooks: .applied.webhooks}' > applied.lines
sort -o desired.lines desired.lines; sort -o applied.lines applied.lines
comm -13 applied.lines desired.lines | wc -l
"""
APPLY_PEER = "script: yq | jq | curl --parallel"
APPLY_TOOLS = ("yq", "jq", "curl")
# The same for an apply: one curl sends every PUT. Nothing is checked, recorded or retried.
APPLY_SCRIPT = r"""set -eu
grep '[.]yaml$' files | xargs yq -c '{environment, webhooks}' > desired.lines
jq -r '
  (.environment | ascii_upcase | split("-") | join("_")) as $name
  | (.webhooks | map_values(split("{secret:PLUG_SECRET_RECEIVE}") | join($ENV.PLUG_SECRET_RECEIVE))) as $body
  | "next", "url = \"\($ENV.BENCH_URL)/api/integrations/update-webhooks\"", "request = PUT", "fail", "silent",
    "header = \"Authorization: \($ENV["PLUG_TOKEN_" + $name])\"", "header = \"Content-Type: application/json\"",
    "data = \($body | tojson | tojson)", "output = /dev/null"
' desired.lines | tail -n +2 > curl.conf
curl --parallel --parallel-max "$BENCH_CONCURRENCY" --config curl.conf
"""


def find_missing(tools: tuple[str, ...]) -> str:
    """Return the tools of a peer that are not installed; empty if it can be measured."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if "yq" in tools and "yq" not in missing and "mikefarah" in _describe_yq():
        missing.append("yq that is a wrapper of jq (the one that is installed has another language)")
    return ", ".join(missing)


def _describe_yq() -> str:
    return subprocess.run(["yq", "--version"], capture_output=True, text=True, check=False).stdout


def describe_missing(peer: str, missing: str) -> str:
    """Return the note of a section without its peer."""
    return f"NOT MEASURED: {peer}, and no goal against it, as there is no {missing} here"
