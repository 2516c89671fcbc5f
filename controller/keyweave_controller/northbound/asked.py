"""What the input of an rpc of `keyweave-qkd-network` asks for.

Rule of this file: input was validated against the module before; names that mean nothing in this network, and
what contradicts itself, are a SchemaViolation with the path of the leaf.
"""

from dataclasses import replace

from lxml import etree

from keyweave_controller.control import candidates, what_if
from keyweave_controller.control.candidates import PathWish
from keyweave_controller.control.service import Protection, Service
from keyweave_controller.control.state import ENDED, NetworkState
from keyweave_controller.control.supposing import LinkRate
from keyweave_controller.northbound import association_tree, naming, service_tree
from keyweave_controller.northbound.markup import found, found_all, found_number, kwn
from keyweave_controller.northbound.path_book import Ways
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.ids import AppId, LinkId, SaeId

NEVER = float("inf")
"""The end of what has none."""


def path_wish(state: NetworkState, operation: etree._Element) -> PathWish:
    """What compute-paths asks."""
    path = path_of(operation)
    service = service_of(state, path, operation, NEVER)
    # The leaves beside the service are short for constraints of it.
    short = naming.service(
        state, path, Service(constraints=service_tree.read_constraints(operation)), NEVER, inside=path
    ).constraints
    bounds = service.constraints
    hops = [most for most in (bounds.max_hops, short.max_hops) if most is not None]
    bounds = replace(
        bounds,
        max_hops=min(hops, default=None),
        exclude_links=bounds.exclude_links | short.exclude_links,
        exclude_nodes=bounds.exclude_nodes | short.exclude_nodes,
        include_links=bounds.include_links | short.include_links,
        include_nodes=bounds.include_nodes | short.include_nodes,
    )
    service = replace(service, constraints=bounds)
    for fault in service.faults(NEVER):
        raise wrong(f"{path}/service", fault)
    more = f"{path}/more-destination"
    others = [naming.place(state, more, text) for text in found_all(operation, kwn("more-destination"))]
    if others and service.protection is not Protection.RESTORATION:
        raise wrong(more, f"a tree has no protection {service.protection}")
    source = naming.place(state, f"{path}/source", found(operation, kwn("source")) or "")
    destination = naming.place(state, f"{path}/destination", found(operation, kwn("destination")) or "")
    if others and source in (destination, *others):
        raise wrong(more, "the source is among the destinations of the tree")
    return PathWish(
        source=source,
        destination=destination,
        rate_bps=found_number(operation, kwn("min-bandwidth-bps")),
        service=service,
        number=min(found_number(operation, kwn("number")) or 1, candidates.MOST),
        others=tuple(others),
    )


def service_of(state: NetworkState, path: str, element: etree._Element, expires_at: float | None) -> Service:
    """The service below an element whose path is `path`."""
    wanted = service_tree.read_service(element, path)
    return naming.service(state, f"{path}/service", wanted, expires_at)


def named_ways(state: NetworkState, path: str, operation: etree._Element) -> Ways:
    """The links that deploy-path names: of the path, then of those beside it."""

    def links(parent: etree._Element, where: str) -> tuple[LinkId, ...]:
        return tuple(naming.link(state, f"{where}/link", text) for text in found_all(parent, kwn("link")))

    others = operation.iterchildren(kwn("other"))
    return (links(operation, path), *(links(other, f"{path}/other") for other in others))


def link_rate(state: NetworkState, path: str, entry: etree._Element) -> LinkRate:
    """A link that is there, or, between two nodes that none joins, one that is not."""
    text, rate_bps = found(entry, kwn("link")) or "", found_number(entry, kwn("rate-bps")) or 0
    new = () if candidates.links_named(state, text) else tuple(candidates.ends_named(state, text))
    if new:
        a, b = new[0]
        return LinkRate(a=a, b=b, rate_bps=rate_bps)
    link = state.links[naming.link(state, f"{path}/link-rate/link", text)]
    return LinkRate(a=link.a, b=link.b, rate_bps=rate_bps, link_id=link.link_id)


def demand_of(state: NetworkState, path: str, entry: etree._Element) -> what_if.Demand:
    """One demand of what-if."""
    name = found(entry, kwn("id")) or ""
    quoted = f'"{name}"' if "'" in name else f"'{name}'"
    where = f"{path}/add-demand[id={quoted}]"
    source, destination = applications(entry)
    expires_at = service_tree.read_moment(entry, "expires-at", where)
    return what_if.Demand(
        id=name,
        source=source,
        destination=destination,
        rate_bps=found_number(entry, kwn("min-bandwidth-bps")),
        most_bps=found_number(entry, kwn("max-bandwidth-bps")),
        priority=found_number(entry, kwn("priority")) or 0,
        service=service_of(state, where, entry, expires_at),
        expires_at=expires_at,
    )


def association_meant(state: NetworkState, operation: etree._Element) -> AppId:
    """The association that is asked about: the living one where an ended one would do as well."""
    text = found(operation, kwn("association")) or ""
    if text.lower() in state.associations:
        return AppId(text.lower())
    shown = association_tree.shown_names(state)
    named = [one for one in state.associations.values() if text in (shown[one.app_id], one.configured_as)]
    chosen = [one for one in named if one.state not in ENDED] or named
    if not chosen:
        raise wrong(f"{path_of(operation)}/association", f"there is no association {text}")
    return chosen[-1].app_id


def applications(element: etree._Element) -> tuple[SaeId, SaeId]:
    """The source and the destination."""
    return SaeId(found(element, kwn("source")) or ""), SaeId(found(element, kwn("destination")) or "")


def path_of(operation: etree._Element) -> str:
    """The instance path of an operation."""
    return f"/keyweave-qkd-network:{etree.QName(operation).localname}"


def wrong(path: str, reason: str) -> SchemaViolation:
    """The error of a value that cannot be."""
    return SchemaViolation(reason, path=path, tag="invalid-value")
