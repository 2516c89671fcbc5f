"""What would become of the associations if links or nodes failed, or rates changed, or more were asked for.

Rule of this file: a question changes nothing. It is put to a copy of the network that is run by the very code
that decides for real, with agents that do what they are told at once; so the answer is what the network would
do, as far as its agents obey. What could only live on key that is stored counts as lost.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from keyweave_controller.control import admission, condition, supposing, topology
from keyweave_controller.control.actions import Alternative, Answer
from keyweave_controller.control.events import AssociationRequested
from keyweave_controller.control.service import DEFAULT_SERVICE, Service
from keyweave_controller.control.shortfalls import unprotected
from keyweave_controller.control.state import Association, AssociationState, NetworkState
from keyweave_controller.control.supposing import LinkRate, Trial
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId

MOST = 1_000
"""Most demands of one question."""

MOST_IMPACTS = 100
"""Most links whose load an answer tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Keys that would be asked for as well. `id` is the caller's; `rate_bps` None: the policy's default."""

    id: str
    source: SaeId
    destination: SaeId
    rate_bps: int | None = None
    priority: int = 0
    most_bps: int | None = None
    service: Service = DEFAULT_SERVICE
    expires_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What would happen: rates change, then links, nodes and risks fail together, then the demands are made,
    by priority.
    """

    fail_links: tuple[LinkId, ...] = ()
    fail_nodes: tuple[NodeId, ...] = ()
    demands: tuple[Demand, ...] = ()
    fail_risks: tuple[str, ...] = ()
    link_rates: tuple[LinkRate, ...] = ()


class Fate(StrEnum):
    """What would become of an association or a demand."""

    CARRIED = "carried"  # runs on as it does; a demand: is carried
    MOVED = "moved"  # goes another way
    LOST = "lost"  # has no way
    PREEMPTED = "preempted"  # a demand of higher priority took its place, and it found no other
    DEGRADED = "degraded"  # runs, with a lower rate or less protection
    WAITING = "waiting"  # its time has not come


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One association (`id` is its app id) or `demand`. `reasons` say why it is lost, or what it lacks.

    Rates are bit/s: what is kept of its promise; of best effort its fair share. `preempted_by` is the id of a
    demand or an association.
    """

    id: str
    source: SaeId
    destination: SaeId
    fate: Fate
    nodes: tuple[NodeId, ...] = ()
    links: tuple[LinkId, ...] = ()
    reasons: tuple[str, ...] = ()
    priority: int = 0
    before_bps: int = 0
    after_bps: int = 0
    hops_before: int = 0
    preempted_by: str = ""
    alternatives: tuple[Alternative, ...] = ()
    demand: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkImpact:
    """A link between the nodes called `a` and `b` whose promises or room would change, bit/s."""

    link_id: LinkId
    a: str
    b: str
    before_bps: int
    after_bps: int
    usable_bps: int  # what may be promised in all; 0 when it fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How an association stands before anything is supposed. `kept_bps`: what is kept of its promise."""

    ways: frozenset[tuple[LinkId, ...]] = frozenset()
    rate_bps: int = 0
    kept_bps: int = 0
    hops: int = 0
    lacks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The answer: `outcomes` for every association that lives, oldest first, then for every demand as given;
    `links` whose load would change, the tightest first.
    """

    outcomes: tuple[Outcome, ...]
    links: tuple[LinkImpact, ...]


def what_if(state: NetworkState, question: Question, *, at: float) -> tuple[Outcome, ...]:
    """The outcomes of `told`."""
    return told(state, question, at=at).outcomes


def told(state: NetworkState, question: Question, *, at: float) -> Told:
    """What would happen. Links and nodes that are not known fail without effect; the caller checks names."""
    trial = Trial(state, question.link_rates, at)
    before, loads = standing(trial.state), _loads(trial.state)
    trial.run(supposing.rate_changes(trial.state, question.link_rates, trial.at))
    failing = supposing.failing_links(
        trial.state, question.fail_links, question.fail_nodes, question.fail_risks
    )
    trial.run(supposing.failures(trial.state, failing, question.fail_nodes, trial.at))
    answers = _demands(trial, question)
    called = {answer.app_id: demand_id for demand_id, answer in answers.items() if answer and answer.app_id}
    fates = [
        fate_of(trial.state, app_id, stood, {one: name for one, name in called.items() if one not in before})
        for app_id, stood in before.items()
    ]
    demands = [_fate_of_demand(trial.state, one, answers[one.id]) for one in question.demands]
    return Told(outcomes=(*fates, *demands), links=_impacts(trial.state, loads))


def standing(state: NetworkState) -> dict[AppId, Standing]:
    """How every association that lives stands, oldest first."""
    return {one.app_id: _standing(state, one) for one in state.associations.values() if counts(one)}


def fate_of(
    state: NetworkState, app_id: AppId, before: Standing, called: Mapping[AppId, str] | None = None
) -> Outcome:
    """What has become of an association that stood as `before`; judged by the state as it is now.

    `called`: what demands call the associations that they made.
    """
    one = state.associations[app_id]
    now = _standing(state, one)
    fate, reasons = _fate(state, one, before, now)
    runs = fate in (Fate.CARRIED, Fate.MOVED, Fate.DEGRADED)
    by = one.preempted_by
    return Outcome(
        id=app_id,
        source=one.source,
        destination=one.destination,
        fate=fate,
        nodes=(one.path.nodes if one.path else (one.source_node,)) if runs else (),
        links=one.path.links if runs and one.path else (),
        reasons=reasons,
        priority=one.priority,
        before_bps=before.rate_bps,
        after_bps=now.rate_bps if runs else 0,
        hops_before=before.hops,
        preempted_by=((called or {}).get(by, by)) if by is not None else "",
    )


def counts(association: Association) -> bool:
    """It lives, and is not on its way out."""
    return association.live and association.state is not AssociationState.CLOSING


def _standing(state: NetworkState, one: Association) -> Standing:
    promised = admission.promised_bps(one.qos, one.service, state.policy)
    kept = promised if one.degraded_bps is None else one.degraded_bps
    placed = one.source_node == one.destination_node or one.path is not None
    return Standing(
        ways=frozenset(path.links for path in one.paths),
        rate_bps=(kept or one.share_bps or 0) if placed else 0,
        kept_bps=kept if placed else 0,
        hops=one.path.hops if one.path else 0,
        lacks=frozenset(unprotected(state, one)),
    )


def _fate(
    state: NetworkState, one: Association, before: Standing, now: Standing
) -> tuple[Fate, tuple[str, ...]]:
    lost = _why_lost(state, one)
    if lost and one.preempted_by is not None:
        return Fate.PREEMPTED, lost
    if lost and one.state is AssociationState.WAITING and one.service.starts_at is not None:
        return Fate.WAITING, lost
    if lost and one.service.falls_back and one.path is not None:
        return Fate.DEGRADED, ("its keys would be made by ML-KEM", *lost)
    if lost:
        return Fate.LOST, lost
    less = tuple(sorted(now.lacks - before.lacks))
    if now.kept_bps < before.kept_bps:
        less = (f"of {before.kept_bps} bit/s that it is promised, {now.kept_bps} bit/s are kept", *less)
    if less:
        return Fate.DEGRADED, less
    return (Fate.CARRIED if now.ways == before.ways else Fate.MOVED), ()


def _why_lost(state: NetworkState, one: Association) -> tuple[str, ...]:
    if not counts(one):
        return one.reasons or ("it ends",)
    if one.source_node == one.destination_node:
        obstacles = topology.node_obstacles(state.nodes.get(one.source_node))
        return tuple(f"node {state.node_name(one.source_node)} {obstacle}" for obstacle in obstacles)
    whole = sum(not topology.broken_links(state, path) for path in condition.needed(one))
    if one.path is not None and whole >= condition.least(one):
        return ()
    return one.reasons or ("it has no path",)


def _fate_of_demand(state: NetworkState, demand: Demand, answer: Answer | None) -> Outcome:
    if answer is None or answer.app_id is None:
        return Outcome(
            id=demand.id,
            source=demand.source,
            destination=demand.destination,
            fate=Fate.LOST,
            reasons=answer.reasons if answer else ("the association it would share has no path",),
            priority=demand.priority,
            alternatives=answer.alternatives if answer else (),
            demand=True,
        )
    one = state.associations[answer.app_id]
    now = _standing(state, one)
    found = fate_of(state, answer.app_id, now)
    return replace(found, id=demand.id, before_bps=0, hops_before=0, demand=True)


def _demands(trial: Trial, question: Question) -> dict[str, Answer | None]:
    """The answer to each demand, by its id; they are made by priority."""
    answers: dict[str, Answer | None] = {}
    for demand in sorted(question.demands, key=lambda one: -one.priority):
        request_id = f"what-if {demand.id}"
        wish = AssociationRequested(
            at=trial.at,
            request_id=request_id,
            source=demand.source,
            destination=demand.destination,
            qos=AppQos(min_bandwidth_bps=demand.rate_bps, max_bandwidth_bps=demand.most_bps),
            priority=demand.priority,
            expires_at=demand.expires_at,
            service=demand.service,
        )
        answers[demand.id] = trial.run([wish]).get(request_id)
    return answers


def _loads(state: NetworkState) -> dict[LinkId, tuple[int, int]]:
    """What is promised on each link, and what may be."""
    return {
        link.link_id: (
            admission.reserved_bps(link),
            admission.usable_bps(link, state.policy) if topology.usable(link) else 0,
        )
        for link in state.links.values()
    }


def _impacts(state: NetworkState, before: Mapping[LinkId, tuple[int, int]]) -> tuple[LinkImpact, ...]:
    found = []
    for link_id, (reserved, usable) in _loads(state).items():
        if (reserved, usable) != before[link_id]:
            link = state.links[link_id]
            found.append(
                LinkImpact(
                    link_id=link_id,
                    a=state.node_name(link.a),
                    b=state.node_name(link.b),
                    before_bps=before[link_id][0],
                    after_bps=reserved,
                    usable_bps=usable,
                )
            )
    found.sort(key=lambda one: (one.usable_bps - one.after_bps, one.link_id))
    return tuple(found[:MOST_IMPACTS])
