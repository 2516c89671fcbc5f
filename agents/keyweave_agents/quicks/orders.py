"""Relay orders of an SDN agent, made into the plan of our key manager.

Rule of this file: pure. An order names applications and neighbours and no direction: who serves the source
makes the keys, who serves a destination stores them, everybody else passes them on. Of two neighbours the
first named is taken for the one before, until a message comes from the other.

Ids of other vendors need not be UUIDs: relay messages carry one derived from the text, equal at all nodes.
The association of a source with its destinations has an id derived from their names, so two streams of the
same applications (while the one replaces the other) feed one buffer; new keys take the newest.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, Route
from keyweave_agents.quicks.messages import Addition, QosRequest, RelayChange, RelayOrder
from keyweave_core.errors import InvalidInput
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId, parse_uuid

_STREAMS = UUID("5d8f0c9e-8a44-5d0f-9a39-50f0b9f3a3c1")
_PAIRS = UUID("0f5c1c1e-60fb-5c39-8e36-0f6a2d8b7e42")

ELSEWHERE = NodeId("")
"""The far node of an association: this interface does not name it."""

MOST_STREAMS = 100_000


def link_of(key_stream_id: str) -> LinkId:
    """The virtual link that a key stream is here."""
    try:
        return LinkId(parse_uuid(key_stream_id))
    except ValueError:
        return LinkId(str(uuid5(_STREAMS, key_stream_id)))


def association_of(source: str, destinations: tuple[str, ...]) -> AppId:
    """The id of the association of these applications."""
    return AppId(str(uuid5(_PAIRS, json.dumps([source, sorted(destinations)]))))


@dataclass(frozen=True, slots=True)
class Stream:
    """An order that stands."""

    key_stream_id: str
    order: RelayOrder
    serial: int


class Unknown(InvalidInput):
    """There is no such key stream."""


class Exists(InvalidInput):
    """There is one already, with another order."""


class OrderBook:
    """The orders of one key manager. `authorities`: its neighbours by host:port, in lower case."""

    def __init__(
        self, node_id: NodeId, served: frozenset[SaeId], authorities: Mapping[str, NodeId], *, relays: bool
    ) -> None:
        self._node_id = node_id
        self._served = served
        self._authorities = authorities
        self._relays = relays
        self._streams: dict[str, Stream] = {}
        self._serial = 0

    def copy(self) -> "OrderBook":
        """A book of the same orders, to be changed in its own way."""
        book = OrderBook(self._node_id, self._served, self._authorities, relays=self._relays)
        book._streams, book._serial = dict(self._streams), self._serial
        return book

    def add(self, key_stream_id: str, order: RelayOrder) -> bool:
        """Take an order; false when it stands already as it is. Exists, InvalidInput: nothing is changed."""
        before = self._streams.get(key_stream_id)
        if before is not None:
            if before.order == order:
                return False
            raise Exists(f"key stream {key_stream_id} exists; PUT changes it")
        if len(self._streams) >= MOST_STREAMS:
            raise InvalidInput(f"{MOST_STREAMS} key streams stand already")
        self._serial += 1
        stream = Stream(key_stream_id, order, self._serial)
        self._route(stream)
        self._streams[key_stream_id] = stream
        return True

    def change(self, key_stream_id: str, change: RelayChange) -> None:
        """Change what `change` names. Unknown, InvalidInput: nothing is changed."""
        before = self._streams.get(key_stream_id)
        if before is None:
            raise Unknown(f"there is no key stream {key_stream_id}")
        old = before.order
        order = RelayOrder(
            source=change.source or old.source,
            destination=change.destination or old.destination,
            next_node_info=old.next_node_info if change.next_node_info is None else change.next_node_info,
            qos_request=change.qos_request or old.qos_request,
            keyweave=change.keyweave or old.keyweave,
        )
        stream = replace(before, order=order)
        self._route(stream)
        self._streams[key_stream_id] = stream

    def remove(self, key_stream_id: str) -> None:
        """Forget an order. Unknown when there is none."""
        if self._streams.pop(key_stream_id, None) is None:
            raise Unknown(f"there is no key stream {key_stream_id}")

    def plan(self) -> KeyPlan:
        """Everything that the key manager shall hold."""
        routes: list[Route] = []
        associations: dict[AppId, AssociationPlan] = {}
        for stream in sorted(self._streams.values(), key=lambda one: one.serial):
            route = self._route(stream)
            if route is not None:
                routes.append(route)
            plan = self._association(stream, route)
            if plan is not None:
                associations[plan.app_id] = plan
        return KeyPlan(routes=tuple(routes), associations=tuple(associations.values()))

    def _neighbours(self, stream: Stream) -> list[NodeId]:
        found = []
        for authority in stream.order.next_node_info:
            node_id = self._authorities.get(authority.lower())
            if node_id is None:
                known = ", ".join(sorted(self._authorities)) or "none"
                raise InvalidInput(
                    f"next_node_info: {authority} is no neighbour of this key manager ({known})"
                )
            if node_id in found:
                raise InvalidInput(f"next_node_info: {authority} is named twice")
            found.append(node_id)
        return found

    def _roles(self, order: RelayOrder) -> tuple[bool, tuple[SaeId, ...]]:
        """Whether the source is ours, and which of the destinations."""
        ours = tuple(SaeId(one) for one in order.destination if one in self._served)
        return order.source in self._served, ours

    def _route(self, stream: Stream) -> Route | None:
        near = self._neighbours(stream)
        if stream.order.keyweave is not None and stream.order.keyweave.app_id is not None:
            _check_id(stream.order.keyweave.app_id)
        source, ours = self._roles(stream.order)
        link_id = link_of(stream.key_stream_id)
        if source and len(ours) == len(set(stream.order.destination)):
            if near:
                raise InvalidInput(
                    "next_node_info: source and destinations are all served here, nobody is next"
                )
            return None
        if not near:
            raise InvalidInput("next_node_info: at least one neighbour is wanted")
        if source:
            if ours:
                raise InvalidInput(
                    "a stream that ends at its source's own key manager and elsewhere is not possible"
                )
            return Route(link_id=link_id, prev_hop=None, next_hop=near[0], branches=tuple(near[1:]))
        if len(near) == 1:
            if not ours:
                raise InvalidInput("next_node_info: to pass keys on, at least two neighbours are wanted")
            return Route(link_id=link_id, prev_hop=near[0], next_hop=None)
        if not self._relays:
            raise InvalidInput("this key manager does not relay keys")
        return Route(
            link_id=link_id,
            prev_hop=near[0],
            next_hop=near[1],
            branches=tuple(near[2:]),
            ends_here=bool(ours),
            either_way=len(near) == 2 and not ours,
        )

    def _association(self, stream: Stream, route: Route | None) -> AssociationPlan | None:
        order = stream.order
        source, ours = self._roles(order)
        if not source and not ours:
            return None
        more = order.keyweave or Addition()
        far = NodeId(more.remote_node_id) if more.remote_node_id is not None else ELSEWHERE
        return AssociationPlan(
            app_id=association_of(order.source, order.destination)
            if more.app_id is None
            else AppId(parse_uuid(more.app_id)),
            server=SaeId(order.source),
            clients=tuple(SaeId(one) for one in order.destination) if source else ours,
            source=source,
            links=() if route is None else (route.link_id,),
            remote_node=self._node_id if route is None else far,
            qos=app_qos(order.qos_request),
            priority=order.qos_request.etsi_004.priority if order.qos_request.etsi_004 is not None else 0,
        )


def _check_id(text: str) -> None:
    try:
        parse_uuid(text)
    except ValueError as error:
        raise InvalidInput(f"keyweave.app_id: {error}") from error


def app_qos(request: QosRequest) -> AppQos:
    """What a request means to our key manager. 014 names no rate; 0 of 004 leaves the choice to us."""
    wish = request.etsi_004
    if request.type == "etsi_014" or wish is None:
        return AppQos()
    return AppQos(
        max_bandwidth_bps=wish.max_bps or None,
        min_bandwidth_bps=wish.min_bps or None,
        ttl_s=wish.ttl or None,
    )
