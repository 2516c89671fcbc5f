"""Everything the deciding code can ask for, as a closed union of values.

Rule of this file: each action carries an id and may be carried out again after a crash with the same
effect. The engine hands them out in order, after the event that caused them is durable. Results come back
as events.
"""

from dataclasses import dataclass, field

from keyweave_controller.control.problem import PlacementProblem
from keyweave_controller.control.service import ServiceClass
from keyweave_core.model.application import Application
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.model.link import Link, LinkTuning


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeEdit:
    """What one node must hold afterwards: entries put whole (created or replaced) and entries gone.

    `tune_links` are physical links of its own whose quantum channel is told anew. One NodeEdit is one atomic
    edit-config; putting what is there and removing what is not are both fine.
    """

    put_links: tuple[Link, ...] = ()
    put_applications: tuple[Application, ...] = ()
    remove_links: tuple[LinkId, ...] = ()
    remove_applications: tuple[AppId, ...] = ()
    tune_links: tuple[LinkTuning, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Configure:
    """Write `edit` to a node; the engine answers with StepSucceeded or StepFailed of `step_id`.

    Steps of different nodes run side by side; steps of one node run in the order they were handed out.
    """

    step_id: str
    node_id: NodeId
    edit: NodeEdit


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseApplication:
    """Tell the agent that asked (`sdqkdn_application_new`) that its application gets no keys, and why."""

    node_id: NodeId
    server_app_id: SaeId
    client_app_ids: tuple[SaeId, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLink:
    """Tell one end of a link in quarantine that the operator trusts it again."""

    node_id: NodeId
    link_id: LinkId


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadNode:
    """Read the node's tree again; it comes back as NodeRead."""

    node_id: NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTimer:
    """Fire `timer_id` at `due_at` (seconds since 1970); setting it again moves it."""

    timer_id: str
    due_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTimer:
    """Forget a timer; none of that id is fine."""

    timer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Something near to what was refused that would be granted now: `note` says all of it, for people.

    `rate_bps`: a lower minimum rate of keys. `starts_at` (seconds since 1970): a later time. `service_class`:
    another class. All None: as asked, but for a constraint that `note` names.
    """

    rate_bps: int | None = None
    starts_at: float | None = None
    service_class: ServiceClass | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimise:
    """Seek a better placement; it comes back as PlacementProposed of this id. If lost, it is asked again."""

    problem_id: str
    problem: PlacementProblem


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The outcome of a northbound request: granted (with the association, if it is one), or refused.

    Refused is what has `reasons`. `about` names, for each reason, the entry of a configuration that it
    concerns (`association/<name>`, `tenant/<name>`); empty for other requests. `alternatives` to what was
    refused, the nearest first.
    """

    request_id: str
    app_id: AppId | None = None
    reasons: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """These things look different now: watchers are told, tables are refreshed.

    An empty one from the engine says that only alarms or usage changed. `configuration`: what the operator
    configured, over whichever northbound.
    """

    node_ids: frozenset[NodeId] = field(default_factory=frozenset)
    link_ids: frozenset[LinkId] = field(default_factory=frozenset)
    app_ids: frozenset[AppId] = field(default_factory=frozenset)
    configuration: bool = False


Action = (
    Configure
    | RefuseApplication
    | ReleaseLink
    | ReadNode
    | SetTimer
    | CancelTimer
    | Optimise
    | Answer
    | Changed
)
