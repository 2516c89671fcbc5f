"""What requests name: places, links, and the service that is wanted.

Rule of this file: whatever is wrong or unknown is told with the path of its field. A place is an application,
or a node by id or name; a link is its id, or the names of its ends with a hyphen between, in any order.
"""

from collections.abc import Iterable
from typing import TypeVar

from keyweave_controller.control import candidates
from keyweave_controller.control.service import (
    DEFAULT_SERVICE,
    Constraints,
    Disjointness,
    Protection,
    Service,
    ServiceClass,
)
from keyweave_controller.control.state import NetworkState
from keyweave_controller.control.strategies import STRATEGIES
from keyweave_controller.northbound import views
from keyweave_controller.northbound.refusals import InvalidField, NotKnown
from keyweave_core.model.application import KeyMode, RelayMethod
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.model.link import Technology
from keyweave_proto.v1 import keyweave_pb2 as pb

MOST_NAMED = 1_000
"""Most nodes, links, risks or domains of one list."""

_CLASSES: dict[int, ServiceClass] = {
    pb.SERVICE_CLASS_GUARANTEED: ServiceClass.GUARANTEED,
    pb.SERVICE_CLASS_BEST_EFFORT: ServiceClass.BEST_EFFORT,
    pb.SERVICE_CLASS_SCHEDULED: ServiceClass.SCHEDULED,
}
_PROTECTIONS: dict[int, Protection] = {
    pb.PROTECTION_RESTORATION: Protection.RESTORATION,
    pb.PROTECTION_ONE_TO_ONE: Protection.ONE_TO_ONE,
    pb.PROTECTION_ONE_PLUS_ONE: Protection.ONE_PLUS_ONE,
}
_DISJOINT: dict[int, Disjointness] = {
    pb.DISJOINTNESS_LINKS: Disjointness.LINKS,
    pb.DISJOINTNESS_NODES: Disjointness.NODES,
    pb.DISJOINTNESS_RISKS: Disjointness.RISKS,
}
_MODES: dict[int, KeyMode] = {pb.KeyMode.Value(views.member("KEY_MODE", one)): one for one in KeyMode}
_METHODS: dict[int, RelayMethod] = {
    pb.RelayMethod.Value(views.member("RELAY_METHOD", one)): one for one in RelayMethod
}
_TECHNOLOGIES: dict[int, Technology] = {
    pb.Technology.Value(f"TECHNOLOGY_{one.value.upper().replace('-', '_')}"): one for one in Technology
}

T = TypeVar("T")
U = TypeVar("U")


def place(state: NetworkState, field: str, text: str) -> NodeId:
    """The node of an application, or of this id or name."""
    if not text:
        raise InvalidField(field, "must name an application or a node")
    node_id = candidates.place(state, text)
    if node_id is None:
        raise NotKnown("application or node", text, field)
    return node_id


def places(state: NetworkState, field: str, texts: Iterable[str]) -> frozenset[NodeId]:
    """Several of them."""
    return frozenset(place(state, field, text) for text in _bounded(field, texts))


def link(state: NetworkState, field: str, text: str) -> LinkId:
    """The link of this id, or between nodes of these names."""
    if not text:
        raise InvalidField(field, "must name a link by its id or by the names of its ends, A-B")
    found = candidates.links_named(state, text)
    if not found:
        raise NotKnown("link", text, field)
    if len(found) > 1:
        raise InvalidField(field, f"{text} are {len(found)} links; name one by its id: {', '.join(found)}")
    return found[0]


def links(state: NetworkState, field: str, texts: Iterable[str]) -> frozenset[LinkId]:
    """Several of them."""
    return frozenset(link(state, field, text) for text in _bounded(field, texts))


def risks(state: NetworkState, field: str, texts: Iterable[str]) -> frozenset[str]:
    """Shared-risk groups that some link is in."""
    known = candidates.risk_groups(state)
    for text in texts:
        if text not in known:
            raise NotKnown("shared-risk group", text, field)
    return frozenset(_bounded(field, texts))


def domains(state: NetworkState, field: str, texts: Iterable[str]) -> frozenset[str]:
    """Domains that some node of the inventory is in; empty: nodes of none."""
    given = _bounded(field, texts)
    known = candidates.domains(state)
    for text in given:
        if text and text not in known:
            raise NotKnown("domain", text, field)
    return frozenset(given)


def strategy(field: str, text: str) -> str:
    """The name of a strategy, or empty."""
    if text and text not in STRATEGIES:
        raise InvalidField(
            field, f"there is no strategy {text[:60]!r}; there are {', '.join(sorted(STRATEGIES))}"
        )
    return text


def service(state: NetworkState, field: str, wish: pb.Service, *, expires_at: float | None) -> Service:
    """How an association is to be served; `expires_at` is that of the whole wish."""
    usual = DEFAULT_SERVICE
    wanted = Service(
        service_class=_member(f"{field}.service_class", _CLASSES, wish.service_class, usual.service_class),
        protection=_member(f"{field}.protection", _PROTECTIONS, wish.protection, usual.protection),
        disjointness=_member(f"{field}.disjointness", _DISJOINT, wish.disjointness, usual.disjointness),
        ways=wish.ways or usual.ways,
        preemptible=wish.preemptible if wish.HasField("preemptible") else usual.preemptible,
        key_bits=wish.key_bits or usual.key_bits,
        strategy=strategy(f"{field}.strategy", wish.strategy),
        starts_at=views.seconds(wish.starts_at) if wish.HasField("starts_at") else None,
        constraints=constraints(state, f"{field}.constraints", wish.constraints),
        key_mode=key_mode(f"{field}.key_mode", wish.key_mode),
        relay_method=relay_method(f"{field}.relay_method", wish.relay_method),
        share_threshold=wish.share_threshold if wish.HasField("share_threshold") else None,
    )
    for fault in wanted.faults(expires_at):
        raise InvalidField(field, fault)
    return wanted


def key_mode(field: str, number: int) -> KeyMode | None:
    """What keys may be made of; None: not said."""
    return _member(field, _MODES, number, None)


def relay_method(field: str, number: int) -> RelayMethod | None:
    """How keys travel; None: not said."""
    return _member(field, _METHODS, number, None)


def constraints(state: NetworkState, field: str, wish: pb.Constraints) -> Constraints:
    """What every path must keep; whether it makes sense together is for `Service.faults` to say."""
    return Constraints(
        max_hops=wish.max_hops or None,
        max_latency_ms=wish.max_latency_ms if wish.HasField("max_latency_ms") else None,
        min_trust=wish.min_trust,
        exclude_links=links(state, f"{field}.exclude_links", wish.exclude_links),
        exclude_nodes=places(state, f"{field}.exclude_nodes", wish.exclude_nodes),
        include_links=links(state, f"{field}.include_links", wish.include_links),
        include_nodes=places(state, f"{field}.include_nodes", wish.include_nodes),
        exclude_risks=risks(state, f"{field}.exclude_risks", wish.exclude_risks),
        technologies=frozenset(_technology(f"{field}.technologies", one) for one in wish.technologies),
        domains=domains(state, f"{field}.domains", wish.domains),
        min_stored_bits=wish.min_stored_bits,
        max_key_age_s=wish.max_key_age_s if wish.HasField("max_key_age_s") else None,
        direct_only=wish.direct_only,
    )


def _technology(field: str, number: int) -> Technology:
    found = _TECHNOLOGIES.get(number)
    if found is None:
        raise InvalidField(field, f"{number} is no technology")
    return found


def _member(field: str, members: dict[int, T], number: int, usual: U) -> T | U:
    if number == 0:
        return usual
    if number not in members:
        raise InvalidField(field, f"{number} is none of its members")
    return members[number]


def _bounded(field: str, texts: Iterable[str]) -> list[str]:
    given = list(texts)
    if len(given) > MOST_NAMED:
        raise InvalidField(field, f"at most {MOST_NAMED}, not {len(given)}")
    return given
