"""Everything that can happen to the network, as a closed union of values.

Rule of this file: an event is all the deciding code ever sees. It carries its own time (`at`, seconds since
1970) and every piece of randomness or configuration it needs; it serialises to JSON and back without loss
(the journal is a list of these), so every field is a plain value, a tuple or another frozen dataclass.
Who makes them: the fleet (what agents say), the northbound (what people and orchestrators ask), the engine
(results of actions, timers, start).
"""

from dataclasses import dataclass, field

from keyweave_controller.control.configuration import LinkFacts, OperatorConfiguration, Policy, Tariff
from keyweave_controller.control.optical.equipment import ClassicalChannel
from keyweave_controller.control.optical.plant import Plant
from keyweave_controller.control.service import Service
from keyweave_core.model.application import AppQos, AppStatistics
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.model.link import KeyPool, LinkPerformance, LinkStatus
from keyweave_core.model.node import Node
from keyweave_core.model.notifications import Notification


@dataclass(frozen=True, slots=True, kw_only=True)
class InventoryNode:
    """One agent of the operator's inventory. `name` is what people call the node; unique.

    `consumers` names applications served by a foreign agent that cannot tell them itself. `trust` (0..100) is
    what the operator thinks of the site, compared with what a demand wants of the nodes its keys cross;
    `domain` is whose it is, or where.
    """

    name: str
    consumers: tuple[SaeId, ...] = ()
    trust: int = 100
    domain: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerStarted:
    """The controller took the lease: the first event of a term. Unfinished work is taken up again.

    `policy`, `tariff` and `plant` are those of the settings; what was configured over the northbound counts
    instead of them.
    """

    at: float
    policy: Policy
    inventory: tuple[InventoryNode, ...]
    tariff: Tariff = field(default_factory=Tariff)
    link_facts: tuple[LinkFacts, ...] = ()
    plant: Plant | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRead:
    """An agent's whole tree was read: after each (re)connection and whenever it was asked for."""

    at: float
    name: str  # of the inventory
    node: Node
    reconnected: bool = True  # False: a re-read on a session that stayed up


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLost:
    """The session to an agent ended, or it could not be reached at start. Its key manager may live on."""

    at: float
    name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRejected:
    """An agent's tree could not be believed; the node is not used. `faults` name path and reason."""

    at: float
    name: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified:
    """An agent sent one of the 015 notifications. `event_time` is the text of its RFC 5277 envelope."""

    at: float
    node_id: NodeId
    notification: Notification
    event_time: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMeasure:
    """What one end says of one link now."""

    link_id: LinkId
    status: LinkStatus | None = None
    performance: LinkPerformance = field(default_factory=LinkPerformance)
    pool: KeyPool | None = None
    smoothed_skr_bps: float | None = None  # the average that decisions use; None: the rate as it was told


@dataclass(frozen=True, slots=True, kw_only=True)
class LinksMeasured:
    """Periodic figures of one node, only those that changed enough to matter."""

    at: float
    node_id: NodeId
    links: tuple[LinkMeasure, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReported:
    """Closed statistics periods of one application at one node. Repeats are harmless: keyed by end time."""

    at: float
    node_id: NodeId
    app_id: AppId
    periods: tuple[AppStatistics, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationRequested:
    """The northbound asks for keys between two applications; answered by `Answer(request_id)`.

    The same `request_id` asked again changes nothing and gets the same answer. `further` are destinations
    that are to get the very same keys, each at its own node. `path_links` are a computed
    path to begin with and no other, `other_links` those beside it where the service wants protection; what
    cannot be had any more is refused.
    """

    at: float
    request_id: str
    source: SaeId
    destination: SaeId
    qos: AppQos
    priority: int = 0
    expires_at: float | None = None
    requester: str = ""
    service: Service = field(default_factory=Service)
    path_links: tuple[LinkId, ...] = ()
    other_links: tuple[tuple[LinkId, ...], ...] = ()
    further: tuple[SaeId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationClosed:
    """The northbound gives an association back; answered by `Answer(request_id)`."""

    at: float
    request_id: str
    app_id: AppId
    requester: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorConfigured:
    """The northbound replaces the operator's configuration as a whole; answered by `Answer(request_id)`.

    All of it takes effect or nothing: associations that are new or changed must be granted by the network
    first. The same `request_id` asked again gets the same answer. `kept` False: the next start goes back to
    what was before, unless `ConfigurationKept` follows (a commit that is still to be confirmed).
    """

    at: float
    request_id: str
    configuration: OperatorConfiguration
    requester: str = ""
    kept: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationKept:
    """What is configured now is what the next start begins with; answered by `Answer(request_id)`."""

    at: float
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationAbandoned:
    """Whoever asked for a change of configuration waits no longer: undo it, unless it is complete already."""

    at: float
    request_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantConfigured:
    """The northbound tells what the fibre plant is; None: that of the settings counts again.

    Answered by `Answer(request_id)`, as are the two below.
    """

    at: float
    request_id: str
    plant: Plant | None
    requester: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicalWished:
    """May this classical channel be switched on, or changed to this? When granted it counts as on.

    The answer comes when every quantum channel that has to move for it has moved.
    """

    at: float
    request_id: str
    channel: ClassicalChannel
    requester: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicalWithdrawn:
    """The classical channel of this name is switched off."""

    at: float
    request_id: str
    name: str
    requester: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmNoted:
    """An operator acknowledged or closed an alarm, or took that back. `state`: `alarms.OperatorState`.

    Answered by `Answer(request_id)`, as is `AlarmsPurged`.
    """

    at: float
    request_id: str
    alarm_id: str
    operator: str
    state: str
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmsPurged:
    """An operator took alarms off the list; one whose reason lasts is raised anew when next looked at."""

    at: float
    request_id: str
    alarm_ids: tuple[str, ...]
    operator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkReleased:
    """An operator trusts a link in quarantine again; answered by `Answer(request_id)`."""

    at: float
    request_id: str
    link_id: LinkId
    requester: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepSucceeded:
    """An agent carried out the `Configure` of this step id."""

    at: float
    step_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFailed:
    """An agent refused (`refused`: it will not help to repeat) or could not be reached."""

    at: float
    step_id: str
    reason: str
    refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedMove:
    """An association would be better placed over `links` than over `present`, which are its links now."""

    app_id: AppId
    present: tuple[LinkId, ...]
    links: tuple[LinkId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementProposed:
    """What the solver made of an `Optimise`: moves, each of which fits once those before it are made.

    None: nothing is better, or the solver failed.
    """

    at: float
    problem_id: str
    moves: tuple[ProposedMove, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TimerFired:
    """A timer set by `SetTimer` ran out."""

    at: float
    timer_id: str


Event = (
    ControllerStarted
    | NodeRead
    | NodeLost
    | NodeRejected
    | Notified
    | LinksMeasured
    | UsageReported
    | AssociationRequested
    | AssociationClosed
    | OperatorConfigured
    | ConfigurationAbandoned
    | ConfigurationKept
    | PlantConfigured
    | ClassicalWished
    | ClassicalWithdrawn
    | AlarmNoted
    | AlarmsPurged
    | LinkReleased
    | StepSucceeded
    | StepFailed
    | PlacementProposed
    | TimerFired
)
