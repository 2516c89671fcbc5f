"""The rpcs of `keyweave-qkd-network`: compute-paths, what-if, get-bill, close-association.

Rule of this file: input was validated against the module before it comes here; names that mean nothing in
this network are refused with the path of the leaf. Only close-association changes anything.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from lxml import etree

from keyweave_controller.control import candidates
from keyweave_controller.control.candidates import PathWish, compute_paths, place
from keyweave_controller.control.events import AssociationClosed
from keyweave_controller.control.service import Constraints, Service
from keyweave_controller.control.state import ENDED, NetworkState
from keyweave_controller.control.what_if import Demand, Fate, Outcome, Question, what_if
from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound import markup
from keyweave_controller.northbound.association_tree import put_way
from keyweave_controller.northbound.markup import QKD, found, found_all, found_number, kwn
from keyweave_core.errors import Refused, SchemaViolation
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.netconf.protocol.elements import Element
from keyweave_core.runtime.clock import Clock

Output = Sequence[Element] | None


class Checked(Protocol):
    """What checks the input of an rpc."""

    def validate_rpc_input(self, element: etree._Element) -> None:
        """Raises SchemaViolation."""
        ...


class QuestionCalls:
    """What `Device.call` of the controller can do. `new_id` gives text that never repeats."""

    def __init__(self, engine: Engine, schema: Checked, clock: Clock, new_id: Callable[[], str]) -> None:
        self._engine = engine
        self._schema = schema
        self._clock = clock
        self._new_id = new_id
        self._table: dict[str, Callable[[etree._Element, str], Awaitable[Output]]] = {
            kwn("compute-paths"): self._compute_paths,
            kwn("what-if"): self._what_if,
            kwn("get-bill"): self._get_bill,
            kwn("close-association"): self._close,
        }

    async def call(self, operation: etree._Element, user: str) -> Output:
        """Carry out an operation; KeyError when it is none of these."""
        method = self._table[str(operation.tag)]
        self._schema.validate_rpc_input(operation)
        return await method(operation, user)

    @property
    def _state(self) -> NetworkState:
        return self._engine.network.state

    async def _compute_paths(self, operation: etree._Element, _user: str) -> Output:
        state = self._state
        wish = PathWish(
            source=_place(state, operation, "source", found(operation, kwn("source")) or ""),
            destination=_place(state, operation, "destination", found(operation, kwn("destination")) or ""),
            rate_bps=found_number(operation, kwn("min-bandwidth-bps")),
            service=Service(
                constraints=Constraints(
                    max_hops=found_number(operation, kwn("max-hops")),
                    exclude_links=frozenset(_links(state, operation, "exclude-link")),
                    exclude_nodes=frozenset(_places(state, operation, "exclude-node")),
                    include_links=frozenset(_links(state, operation, "include-link")),
                    include_nodes=frozenset(_places(state, operation, "include-node")),
                )
            ),
            number=min(found_number(operation, kwn("number")) or 1, candidates.MOST),
        )
        paths, reasons = compute_paths(state, self._engine.network.mesh, wish, at=self._clock.now())
        names = _names(state)
        output = markup.qkd_tree("output")
        for rank, path in enumerate(paths, start=1):
            entry = etree.SubElement(output, kwn("path"))
            markup.number(entry, kwn("id"), rank)
            put_way(entry, path.nodes, names)
            markup.texts(entry, kwn("link-id"), path.links)
            markup.number(entry, kwn("bottleneck-bps"), path.bottleneck_bps)
            markup.decimal(entry, kwn("cost"), path.cost, 6)
            markup.decimal(entry, kwn("distance-km"), path.distance_km)
        markup.texts(output, kwn("reason"), reasons)
        return list(output)

    async def _what_if(self, operation: etree._Element, _user: str) -> Output:
        state = self._state
        question = Question(
            fail_links=tuple(_links(state, operation, "fail-link")),
            fail_nodes=tuple(_places(state, operation, "fail-node")),
            demands=tuple(
                Demand(
                    id=found(entry, kwn("id")) or "",
                    source=SaeId(found(entry, kwn("source")) or ""),
                    destination=SaeId(found(entry, kwn("destination")) or ""),
                    rate_bps=found_number(entry, kwn("min-bandwidth-bps")),
                    priority=found_number(entry, kwn("priority")) or 0,
                )
                for entry in operation.iterchildren(kwn("add-demand"))
            ),
        )
        names = _names(state)
        output = markup.qkd_tree("output")
        outcomes = what_if(state, question, at=self._clock.now())
        for outcome in sorted(outcomes, key=lambda one: list(Fate).index(one.fate)):
            _put_outcome(output, outcome, names)
        return list(output)

    async def _get_bill(self, operation: etree._Element, _user: str) -> Output:
        wanted = [AppId(text) for text in found_all(operation, kwn("app-id"))]
        management = self._engine.management
        bill = management.bill(app_ids=wanted or None)
        output = markup.qkd_tree("output")
        markup.text(output, kwn("currency"), bill.currency)
        for line in bill.lines:
            entry = etree.SubElement(output, kwn("line"))
            markup.text(entry, kwn("app-id"), line.app_id)
            markup.text(entry, kwn("source"), line.source)
            markup.text(entry, kwn("destination"), line.destination)
            markup.texts(entry, kwn("node-name"), line.path)
            markup.number(entry, kwn("hops"), line.hops)
            markup.number(entry, kwn("delivered-bits"), line.bits)
            markup.number(entry, kwn("delivered-keys"), line.keys)
            markup.text(entry, kwn("amount"), f"{line.amount:f}")
        markup.text(output, kwn("total"), f"{bill.total:f}")
        prices = etree.SubElement(output, kwn("tariff"))
        markup.text(prices, kwn("per-mbit"), f"{management.tariff.per_mbit:f}")
        markup.text(prices, kwn("per-key"), f"{management.tariff.per_key:f}")
        markup.text(prices, kwn("per-further-hop"), f"{management.tariff.per_further_hop:f}")
        return list(output)

    async def _close(self, operation: etree._Element, user: str) -> Output:
        app_id = AppId((found(operation, kwn("app-id")) or "").lower())
        record = self._state.associations.get(app_id)
        if record is None:
            raise _unknown(operation, "app-id", f"there is no association {app_id}")
        if record.state not in ENDED:
            answer = await self._engine.ask(
                AssociationClosed(
                    at=self._clock.now(),
                    request_id=f"close/netconf/{self._new_id()}",
                    app_id=app_id,
                    requester=user,
                )
            )
            if answer.reasons:
                raise Refused(*answer.reasons)
        output = markup.qkd_tree("output")
        now = self._state.associations.get(app_id, record)
        markup.member(output, kwn("status"), now.state)
        return list(output)


def _put_outcome(parent: etree._Element, outcome: Outcome, names: dict[NodeId, str]) -> None:
    entry = etree.SubElement(parent, kwn(outcome.fate.value))
    markup.text(entry, kwn("id"), outcome.id)
    markup.text(entry, kwn("source"), outcome.source)
    markup.text(entry, kwn("destination"), outcome.destination)
    if outcome.fate is Fate.LOST:
        markup.texts(entry, kwn("reason"), outcome.reasons)
    else:
        put_way(entry, outcome.nodes, names)
        markup.texts(entry, kwn("link-id"), outcome.links)


def _names(state: NetworkState) -> dict[NodeId, str]:
    return {node_id: record.name for node_id, record in state.nodes.items()}


def _place(state: NetworkState, operation: etree._Element, leaf: str, text: str) -> NodeId:
    node_id = place(state, text)
    if node_id is None:
        raise _unknown(operation, leaf, f"neither an application nor a node here: {text}")
    return node_id


def _places(state: NetworkState, operation: etree._Element, leaf: str) -> list[NodeId]:
    return [_place(state, operation, leaf, text) for text in found_all(operation, kwn(leaf))]


def _links(state: NetworkState, operation: etree._Element, leaf: str) -> list[LinkId]:
    links = [LinkId(text.lower()) for text in found_all(operation, kwn(leaf))]
    for link_id in links:
        if link_id not in state.links:
            raise _unknown(operation, leaf, f"there is no physical link {link_id}")
    return links


def _unknown(operation: etree._Element, leaf: str, reason: str) -> SchemaViolation:
    name = etree.QName(operation).localname
    return SchemaViolation(reason, path=f"/keyweave-qkd-network:{name}/{leaf}", tag="invalid-value")


NAMESPACE = QKD
"""The namespace whose operations these are."""
