"""How an association is served, as YANG data of `keyweave-qkd-network`, and back.

Rule of this file: pure. What is read was validated against the module before; what is missing has the default
of the module. Names of nodes and links stay as they are written: `naming` knows what they mean.
"""

from collections.abc import Callable
from typing import TypeVar

from lxml import etree

from keyweave_controller.control.service import (
    DEFAULT_SERVICE,
    Constraints,
    Disjointness,
    Protection,
    Service,
    ServiceClass,
)
from keyweave_controller.northbound import markup
from keyweave_controller.northbound.markup import found, found_all, found_number, kwn
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.model.link import Technology
from keyweave_core.runtime.clock import parse_date_and_time

Value = TypeVar("Value")

TECHNOLOGIES = {one.value.lower(): one for one in Technology}
"""Every technology by its name in YANG."""


def put_service(parent: etree._Element, service: Service, *, names: bool = True) -> None:
    """The container `service`; nothing for the usual one.

    `names` False leaves the lists of links and nodes out, for whoever has them in the words of the operator.
    """
    if service == DEFAULT_SERVICE:
        return
    element, usual = etree.SubElement(parent, kwn("service")), DEFAULT_SERVICE
    for name, value, default in (
        ("class", service.service_class, usual.service_class),
        ("protection", service.protection, usual.protection),
        ("disjointness", service.disjointness, usual.disjointness),
    ):
        if value is not default:
            markup.member(element, kwn(name), value)
    if service.ways != usual.ways:
        markup.number(element, kwn("ways"), service.ways)
    if service.preemptible != usual.preemptible:
        markup.flag(element, kwn("preemptible"), service.preemptible)
    if service.key_bits != usual.key_bits:
        markup.number(element, kwn("key-bits"), service.key_bits)
    markup.text(element, kwn("strategy"), service.strategy)
    markup.moment(element, kwn("starts-at"), service.starts_at)
    if service.constraints != usual.constraints:
        _put_constraints(etree.SubElement(element, kwn("constraints")), service.constraints, names)


def _put_constraints(element: etree._Element, bounds: Constraints, names: bool) -> None:
    markup.number(element, kwn("max-hops"), bounds.max_hops)
    markup.decimal(element, kwn("max-latency-ms"), bounds.max_latency_ms)
    markup.number(element, kwn("min-trust"), bounds.min_trust or None)
    if names:
        markup.texts(element, kwn("exclude-link"), sorted(bounds.exclude_links))
        markup.texts(element, kwn("exclude-node"), sorted(bounds.exclude_nodes))
        markup.texts(element, kwn("include-link"), sorted(bounds.include_links))
        markup.texts(element, kwn("include-node"), sorted(bounds.include_nodes))
    markup.texts(element, kwn("exclude-risk"), sorted(bounds.exclude_risks))
    for technology in sorted(bounds.technologies):
        markup.member(element, kwn("technology"), technology)
    markup.texts(element, kwn("domain"), sorted(bounds.domains))
    markup.number(element, kwn("min-stored-bits"), bounds.min_stored_bits or None)
    markup.number(element, kwn("max-key-age-s"), bounds.max_key_age_s)
    if bounds.direct_only:
        markup.flag(element, kwn("direct-only"), True)


def read_service(parent: etree._Element, path: str) -> Service:
    """The service below `parent`, whose instance path is `path`. Raises SchemaViolation for a moment that is
    none.
    """
    element = parent.find(kwn("service"))
    if element is None:
        return DEFAULT_SERVICE
    usual = DEFAULT_SERVICE
    bounds = element.find(kwn("constraints"))
    return Service(
        service_class=_read(element, "class", ServiceClass, usual.service_class),
        protection=_read(element, "protection", Protection, usual.protection),
        disjointness=_read(element, "disjointness", Disjointness, usual.disjointness),
        ways=_read(element, "ways", int, usual.ways),
        preemptible=_read(element, "preemptible", markup.truth, usual.preemptible),
        key_bits=_read(element, "key-bits", int, usual.key_bits),
        strategy=found(element, kwn("strategy")) or "",
        starts_at=read_moment(element, "starts-at", f"{path}/service"),
        constraints=usual.constraints if bounds is None else read_constraints(bounds),
    )


def read_constraints(element: etree._Element) -> Constraints:
    """The constraints whose leaves are children of `element`."""
    latency = found(element, kwn("max-latency-ms"))
    return Constraints(
        max_hops=found_number(element, kwn("max-hops")),
        max_latency_ms=None if latency is None else float(latency),
        min_trust=found_number(element, kwn("min-trust")) or 0,
        exclude_links=frozenset(map(LinkId, found_all(element, kwn("exclude-link")))),
        exclude_nodes=frozenset(map(NodeId, found_all(element, kwn("exclude-node")))),
        include_links=frozenset(map(LinkId, found_all(element, kwn("include-link")))),
        include_nodes=frozenset(map(NodeId, found_all(element, kwn("include-node")))),
        exclude_risks=frozenset(found_all(element, kwn("exclude-risk"))),
        technologies=frozenset(TECHNOLOGIES[one] for one in found_all(element, kwn("technology"))),
        domains=frozenset(found_all(element, kwn("domain"))),
        min_stored_bits=found_number(element, kwn("min-stored-bits")) or 0,
        max_key_age_s=found_number(element, kwn("max-key-age-s")),
        direct_only=_read(element, "direct-only", markup.truth, False),
    )


def read_moment(element: etree._Element, name: str, path: str) -> float | None:
    """The seconds since 1970 of a leaf below the instance path `path`; None when there is none.

    Raises SchemaViolation for what the pattern of the type lets through and no calendar has.
    """
    text = found(element, kwn(name))
    try:
        return None if text is None else parse_date_and_time(text)
    except ValueError as error:
        raise SchemaViolation(f"{text!r} is no moment: {error}", path=f"{path}/{name}") from error


def _read(element: etree._Element, name: str, read: Callable[[str], Value], usual: Value) -> Value:
    value = found(element, kwn(name))
    return usual if value is None else read(value)
