"""A repository on GitHub that remembers what is posted, or refuses."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.core.workflow.labels import Label, LabelSetting
from reconciler.core.workflow.markers import Marker
from reconciler.errors import PostFailed
from reconciler.ports import Posted, PostEffect, PullRequest


@dataclass
class FakeHub:
    """A hub without GitHub. `pull_request` is the event's, `present` the one that GitHub shows now.

    Each post raises `refusal`, if there is one.
    """

    pull_request: PullRequest | None = None
    present: PullRequest | None = None
    labels: dict[Label, LabelSetting] = field(default_factory=dict)
    may_only_read: bool = False
    refusal: PostFailed | None = None
    unreadable: PostFailed | None = None  # of what is read
    done: PostEffect = PostEffect.CREATED
    posted: list[tuple[object, ...]] = field(default_factory=list)
    run_url: str = "https://github.com/acme/hooks/actions/runs/1"

    def _post(self, *what: object) -> Posted:
        if self.refusal is not None:
            raise self.refusal
        self.posted.append(what)
        return Posted(self.done, "https://github.com/x")

    def read_pull(self, number: int) -> PullRequest:
        if self.unreadable is not None:
            raise self.unreadable
        assert self.present is not None
        return self.present

    def find_label(self, number: int, label: Label) -> LabelSetting | None:
        if self.unreadable is not None:
            raise self.unreadable
        return self.labels.get(label)

    def put_comment(self, number: int, marker: Marker, text: str) -> Posted:
        return self._post(number, marker, text)
