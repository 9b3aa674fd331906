"""The terms of the domain as types: values and closed sets. None of them reads or writes anything.

`Webhooks` maps each of the seven events to a URL in its *text form*: vars filled in, secrets as `{secret:NAME}`,
literal braces doubled (docs/manifests.md). State, plans and every output have the text form; only `plug/` and
`receivers/` have the filled-in URL.
"""

from reconciler.model.checked import CheckResult, CheckStage, ReceiverCheck
from reconciler.model.finding import FINDING_ORDER, Drift, Finding, FindingKind
from reconciler.model.item import FAILING, Area, Item, ItemState
from reconciler.model.manifest import (
    EVENTS,
    AuthScheme,
    BodyForm,
    Desired,
    Destination,
    DestinationPart,
    Event,
    Sources,
    Webhooks,
)
from reconciler.model.plan import (
    Action,
    Change,
    DestinationChange,
    EnvironmentPlan,
    LiveDifference,
    Plan,
    Reason,
    Shard,
    has_work,
)
from reconciler.model.problem import Fault, Location, Problem, Quote, SettingPlace
from reconciler.model.resolved import (
    Origin,
    ResolvedEnvironment,
    ResolvedValue,
    ResolvedVar,
    ResolvedWebhook,
)
from reconciler.model.result import DONE_OUTCOMES, EnvironmentResult, Outcome, Remedy, RunResult
from reconciler.model.setup import (
    BranchRules,
    RequiredCheck,
    ShownEnvironment,
)
from reconciler.model.state import (
    Applied,
    By,
    Document,
    Fingerprint,
    Head,
    HistoryEntry,
    Intent,
    LastTry,
    Original,
    Snapshot,
    Stored,
)
from reconciler.model.unprinted import Unprinted
from reconciler.model.where import ApiUse, Where

__all__ = [
    "DONE_OUTCOMES",
    "EVENTS",
    "FAILING",
    "FINDING_ORDER",
    "Action",
    "ApiUse",
    "Applied",
    "Area",
    "AuthScheme",
    "BodyForm",
    "BranchRules",
    "By",
    "Change",
    "CheckResult",
    "CheckStage",
    "Desired",
    "Destination",
    "DestinationChange",
    "DestinationPart",
    "Document",
    "Drift",
    "EnvironmentPlan",
    "EnvironmentResult",
    "Event",
    "Fault",
    "Finding",
    "FindingKind",
    "Fingerprint",
    "Head",
    "HistoryEntry",
    "Intent",
    "Item",
    "ItemState",
    "LastTry",
    "LiveDifference",
    "Location",
    "Origin",
    "Original",
    "Outcome",
    "Plan",
    "Problem",
    "Quote",
    "Reason",
    "ReceiverCheck",
    "Remedy",
    "RequiredCheck",
    "ResolvedEnvironment",
    "ResolvedValue",
    "ResolvedVar",
    "ResolvedWebhook",
    "RunResult",
    "SettingPlace",
    "Shard",
    "ShownEnvironment",
    "Snapshot",
    "Sources",
    "Stored",
    "Unprinted",
    "Webhooks",
    "Where",
    "has_work",
]
