"""The rpcs of `keyweave-qkd-network`: those of `planning_calls`, get-bill, close-association.

Rule of this file: input was validated against the module before it comes here; names that mean nothing in
this network are refused with the path of the leaf. Only deploy-path, close-association and
release-link change anything.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from lxml import etree

from keyweave_controller.control import candidates
from keyweave_controller.control.configuration import ORIGIN_PRICES
from keyweave_controller.control.events import AssociationClosed
from keyweave_controller.control.state import ENDED, NetworkState
from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound import markup
from keyweave_controller.northbound.markup import QKD, found, found_all, kwn
from keyweave_controller.northbound.planning_calls import PlanningCalls
from keyweave_controller.northbound.releases import release_link
from keyweave_core.errors import Refused, SchemaViolation
from keyweave_core.model.ids import AppId
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
        planning = PlanningCalls(engine, clock, new_id)
        self._table: dict[str, Callable[[etree._Element, str], Awaitable[Output]]] = {
            kwn("compute-paths"): planning.compute_paths,
            kwn("deploy-path"): planning.deploy_path,
            kwn("what-if"): planning.what_if,
            kwn("explain"): planning.explain,
            kwn("get-bill"): self._get_bill,
            kwn("close-association"): self._close,
            kwn("release-link"): self._release,
        }

    async def call(self, operation: etree._Element, user: str) -> Output:
        """Carry out an operation; KeyError when it is none of these."""
        method = self._table[str(operation.tag)]
        self._schema.validate_rpc_input(operation)
        return await method(operation, user)

    @property
    def _state(self) -> NetworkState:
        return self._engine.network.state

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
            markup.member(entry, kwn("origin"), line.origin)
            markup.text(entry, kwn("amount"), f"{line.amount:f}")
        markup.text(output, kwn("total"), f"{bill.total:f}")
        prices = etree.SubElement(output, kwn("tariff"))
        markup.text(prices, kwn("per-mbit"), f"{management.tariff.per_mbit:f}")
        markup.text(prices, kwn("per-key"), f"{management.tariff.per_key:f}")
        markup.text(prices, kwn("per-further-hop"), f"{management.tariff.per_further_hop:f}")
        for name in ORIGIN_PRICES:
            own = getattr(management.tariff, name)
            markup.text(prices, kwn(name.replace("_", "-")), None if own is None else f"{own:f}")
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

    async def _release(self, operation: etree._Element, user: str) -> Output:
        text = found(operation, kwn("link")) or ""
        links = candidates.links_named(self._state, text)
        if len(links) != 1:
            several = f"{text} are {len(links)} links; name one by its id"
            raise _unknown(operation, "link", several if links else f"there is no link {text}")
        await release_link(self._engine, self._clock, f"release/netconf/{self._new_id()}", links[0], user)
        return []


def _unknown(operation: etree._Element, leaf: str, reason: str) -> SchemaViolation:
    name = etree.QName(operation).localname
    return SchemaViolation(reason, path=f"/keyweave-qkd-network:{name}/{leaf}", tag="invalid-value")


NAMESPACE = QKD
"""The namespace whose operations these are."""
