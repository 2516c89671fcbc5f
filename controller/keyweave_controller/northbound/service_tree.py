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
from keyweave_controller.northbound.markup import found, kwn
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import KeyMode, RelayMethod
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.model.link import Technology
from keyweave_core.runtime.clock import parse_date_and_time

Value = TypeVar("Value")
Usual = TypeVar("Usual")

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
    markup.member(element, kwn("key-mode"), service.key_mode)
    markup.member(element, kwn("relay-method"), service.relay_method)
    markup.number(element, kwn("share-threshold"), service.share_threshold)
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
    usual, given = DEFAULT_SERVICE, _Given(element)
    bounds = element.find(kwn("constraints"))
    return Service(
        service_class=given.one("class", ServiceClass, usual.service_class),
        protection=given.one("protection", Protection, usual.protection),
        disjointness=given.one("disjointness", Disjointness, usual.disjointness),
        ways=given.one("ways", int, usual.ways),
        preemptible=given.one("preemptible", markup.truth, usual.preemptible),
        key_bits=given.one("key-bits", int, usual.key_bits),
        strategy=given.one("strategy", str, usual.strategy),
        starts_at=read_moment(element, "starts-at", f"{path}/service"),
        constraints=usual.constraints if bounds is None else read_constraints(bounds),
        key_mode=given.one("key-mode", KeyMode, None),
        relay_method=given.one("relay-method", RelayMethod, None),
        share_threshold=given.one("share-threshold", int, None),
    )


def read_constraints(element: etree._Element) -> Constraints:
    """The constraints whose leaves are children of `element`."""
    given = _Given(element)
    return Constraints(
        max_hops=given.one("max-hops", int, None),
        max_latency_ms=given.one("max-latency-ms", float, None),
        min_trust=given.one("min-trust", int, 0),
        exclude_links=given.all("exclude-link", LinkId),
        exclude_nodes=given.all("exclude-node", NodeId),
        include_links=given.all("include-link", LinkId),
        include_nodes=given.all("include-node", NodeId),
        exclude_risks=given.all("exclude-risk", str),
        technologies=given.all("technology", TECHNOLOGIES.__getitem__),
        domains=given.all("domain", str),
        min_stored_bits=given.one("min-stored-bits", int, 0),
        max_key_age_s=given.one("max-key-age-s", int, None),
        direct_only=given.one("direct-only", markup.truth, False),
    )


class _Given:
    """The leaves of an element, gone through once: a configuration may have thousands of them."""

    def __init__(self, element: etree._Element) -> None:
        self._texts: dict[str, list[str]] = {}
        for child in element.iterchildren():
            self._texts.setdefault(str(child.tag), []).append(child.text or "")

    def one(self, name: str, read: Callable[[str], Value], usual: Usual) -> Value | Usual:
        """The value of a leaf."""
        texts = self._texts.get(kwn(name))
        return usual if texts is None else read(texts[0])

    def all(self, name: str, read: Callable[[str], Value]) -> frozenset[Value]:
        """The values of a leaf-list."""
        return frozenset(map(read, self._texts.get(kwn(name), ())))


def read_moment(element: etree._Element, name: str, path: str) -> float | None:
    """The seconds since 1970 of a leaf below the instance path `path`; None when there is none.

    Raises SchemaViolation for what the pattern of the type lets through and no calendar has.
    """
    text = found(element, kwn(name))
    try:
        return None if text is None else parse_date_and_time(text)
    except ValueError as error:
        raise SchemaViolation(f"{text!r} is no moment: {error}", path=f"{path}/{name}") from error
