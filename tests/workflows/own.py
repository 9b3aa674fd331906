"""This repository's workflows: those of `init`, with the checkout's action instead of a pinned one."""

from __future__ import annotations

import re

from reconciler import starter
from reconciler.starter.workflow_files import Places

_TOOL_OF_THE_BASE = """
      # This repository holds the tool itself. That of the default branch runs, never that of the pull request. A link
      # with the name .tool would lead the second checkout into the manifests.
      - run: rm -rf .tool
      - uses: @CHECKOUT@
        with:
          ref: ${{ github.event.repository.default_branch }}
          path: .tool
          persist-credentials: false
"""


def render_own_workflow(name: str) -> str:
    if name != "plan":
        return starter.render_workflow(name, Places(f"./{starter.ACTION_FOLDER}"))
    pinned = re.findall(r"uses: (actions/checkout@.*)", starter.render_workflow(name, Places("")))
    before = _TOOL_OF_THE_BASE.replace("@CHECKOUT@", pinned[0])
    return starter.render_workflow(name, Places(f"./.tool/{starter.ACTION_FOLDER}"), before_action=before)
