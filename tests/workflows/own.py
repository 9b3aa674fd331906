"""This repository's own workflows: those that `init` writes, with the action of the checkout, not a pinned one."""

from __future__ import annotations

from reconciler import starter

TOOL_OF_THE_BASE = """
      # this repository holds the tool itself: that of the base branch runs, never the pull request's. A link of its
      # name would lead the checkout into the manifests
      - run: rm -rf .tool
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683 # v4.2.2
        with:
          ref: ${{ github.event.pull_request.base.sha }}
          path: .tool
          persist-credentials: false
"""


def render_own_workflow(name: str) -> str:
    if name != "plan":
        return starter.render_workflow(name, f"./{starter.ACTION_FOLDER}")
    return starter.render_workflow(name, f"./.tool/{starter.ACTION_FOLDER}", before_action=TOOL_OF_THE_BASE)
