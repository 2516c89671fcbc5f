"""From a committed configuration to what the node shall do.

Rule of this file: pure. A configuration (the whole 015 tree as a `Node`) and the node's own facts go in; a
`Decision` or a `SchemaViolation` that names the path comes out. The same configuration gives the same
decision whatever the order of its entries. Nothing is done here, so a refusal leaves everything as it was.

What belongs to the node and may not be written stands in `owned`; virtual links and applications belong to
the writer altogether, within the limits checked here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID, uuid5

from keyweave_agents.control.owned import ROOT, check_owned, link_path
from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, Route
from keyweave_agents.keys.relaying.split import MOST_SHARES
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import Application, AppType, RelayMethod
from keyweave_core.model.ids import LinkId, NodeId
from keyweave_core.model.link import Link, LinkStatus, LinkType
from keyweave_core.model.node import Node, TrustLevel
from keyweave_core.runtime.clock import parse_date_and_time

_THRESHOLD = "keyweave-qkd-node:share-threshold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a configuration means: the plan of the key manager, which physical links shall make key, and on
    which wavelengths.
    """

    plan: KeyPlan
    generating: frozenset[LinkId]
    direct: Mapping[LinkId, LinkId]  # id of a derived route -> the physical link that backs an association
    channels: Mapping[LinkId, int]


def decide(wanted: Node, own: Node) -> Decision:
    """Check `wanted` against the node's own facts and return what it means.

    `own` is the initial configuration of this node. Raises SchemaViolation with the path of the first fault:
    a fact of the node changed or missing, a virtual link over a node that is no neighbour or over a node
    that may not relay, an application that nobody here uses, a backing link that does not exist.
    """
    check_owned(wanted, own)
    routes: list[Route] = []
    for link in sorted(wanted.links, key=lambda each: each.link_id):
        if link.type is not LinkType.PHYS:
            route = route_of(link, own)
            if is_wanted(link):
                routes.append(route)
    associations: list[AssociationPlan] = []
    direct: dict[LinkId, LinkId] = {}
    ending_here: set[LinkId] = set()
    for application in sorted(wanted.applications, key=lambda each: each.app_id):
        ending = association_of(application, wanted, own)
        if ending is not None:
            associations.append(ending.association)
            if not ending.association.source:
                ending_here.update(ending.association.links)
            if ending.direct is not None:
                route, physical = ending.direct
                if route.link_id not in direct:
                    routes.append(route)
                direct[route.link_id] = physical
    return Decision(
        plan=KeyPlan(
            routes=tuple(_route_with_ending(route, ending_here) for route in routes),
            associations=tuple(associations),
        ),
        generating=frozenset(
            link.link_id for link in wanted.links if link.type is LinkType.PHYS and is_wanted(link)
        ),
        direct=direct,
        channels=_channels(wanted, own),
    )


def _channels(wanted: Node, own: Node) -> dict[LinkId, int]:
    """The wavelength of each physical link; what a writer took away is what the module begins with."""
    begins = {link.link_id: link.physical.wavelength for link in own.links if link.physical}
    told = {link.link_id: link.physical.wavelength for link in wanted.links if link.physical}
    found = {link_id: told.get(link_id) or channel for link_id, channel in begins.items()}
    return {link_id: channel for link_id, channel in found.items() if channel is not None}


def is_wanted(link: Link) -> bool:
    """Whether the writer wants this link to work.

    Only OFF is a command. The other values of qkdl_status are what a controller may have read here a moment
    ago and writes back with the rest of the tree; taking PASSIVE for an order would turn a reading into one.
    """
    return link.enable and link.requested_status is not LinkStatus.OFF


def neighbours(own: Node) -> dict[NodeId, LinkId]:
    """The nodes at the far ends of this node's physical links, with one link to each (the lowest id)."""
    found: dict[NodeId, LinkId] = {}
    for link in sorted(own.links, key=lambda each: each.link_id, reverse=True):
        if link.type is LinkType.PHYS and link.remote is not None:
            found[link.remote.node_id] = link.link_id
    return found


def route_of(link: Link, own: Node) -> Route:
    """This node's place on one virtual link.

    `virt_next_hop` may hold adjacent hops, or all nodes that remain to the end of the path (the form other
    controllers write): the first entry that is a neighbour is the next hop. A link that forks has more ends
    than one and so no `qkdl_remote`: without it, several entries that are all neighbours are branches, and a
    node on the way that is itself the `qkdl_local` is an end too. It is one before any application is there,
    so that what the first batches bring waits for it. Errors as `decide`.
    """
    path = link_path(link)
    if link.type is None:
        raise SchemaViolation("a link must say its type", path=f"{path}/qkdl_type", tag="data-missing")
    if link.type is LinkType.PHYS:
        raise SchemaViolation("this node has no module on such a physical link", path=path)
    near = neighbours(own)
    spec = link.virtual
    if spec is None or (spec.prev_hop is None and not spec.next_hops):
        raise SchemaViolation(
            "a virtual link must name this node's previous or next hop", path=path, tag="data-missing"
        )
    if spec.prev_hop is not None and spec.prev_hop not in near:
        raise SchemaViolation(f"{spec.prev_hop} is no neighbour of this node", path=f"{path}/virt_prev_hop")
    next_hop = next((hop for hop in spec.next_hops if hop in near and hop != spec.prev_hop), None)
    if spec.next_hops and next_hop is None:
        named = ", ".join(spec.next_hops)
        raise SchemaViolation(
            f"no neighbour of this node to go on to among {named}", path=f"{path}/virt_next_hop"
        )
    passes = spec.prev_hop is not None and next_hop is not None
    if passes:
        if own.trust_level is TrustLevel.UNTRUSTED:
            raise SchemaViolation("this node is not trusted to relay", path=path)
        if not own.capabilities.key_relay_mode_enable:
            raise SchemaViolation("this node does not relay keys", path=path)
    branches = tuple(hop for hop in spec.next_hops if hop != next_hop)
    forks = link.remote is None and all(hop in near and hop != spec.prev_hop for hop in branches)
    ends_here = link.remote is None and link.local is not None and link.local.node_id == own.node_id
    return Route(
        link_id=link.link_id,
        prev_hop=spec.prev_hop,
        next_hop=next_hop,
        branches=branches if forks else (),
        ends_here=passes and ends_here,
        bandwidth_bps=spec.bandwidth_bps,
        method=link.relay_method or RelayMethod.OTP,
    )


def _route_with_ending(route: Route, ending_here: set[LinkId]) -> Route:
    """A link that goes on may feed an application of this node on its way: then it has several ends."""
    passes = route.prev_hop is not None and route.next_hop is not None
    return replace(route, ends_here=True) if passes and route.link_id in ending_here else route


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """An association that ends here, and the route it needs when a physical link backs it directly."""

    association: AssociationPlan
    direct: tuple[Route, LinkId] | None = None


def association_of(application: Application, wanted: Node, own: Node) -> Ending | None:
    """What ends here because of this entry; None for a reservation or a mere mention. Errors as `decide`."""
    path = f"{ROOT}/qkd_applications/qkd_app[app_id='{application.app_id}']"
    links = {link.link_id: link for link in wanted.links}
    for link_id in application.backing_link_ids:
        if link_id not in links:
            raise SchemaViolation(f"there is no link {link_id} here", path=f"{path}/backing_qkdl_id")
    if application.type is AppType.INTERNAL:
        return None
    if application.local_node_id not in (None, own.node_id):
        return None
    served = frozenset(own.consumers)
    source = application.server_app_id in served
    if not source and served.isdisjoint(application.client_app_ids):
        if application.local_node_id is None:
            return None
        parties = ", ".join((application.server_app_id or "no server", *application.client_app_ids))
        raise SchemaViolation(f"none of {parties} is served by this node", path=f"{path}/server_app_id")
    if application.server_app_id is None:
        raise SchemaViolation(
            "an association must name the application that started it",
            path=f"{path}/server_app_id",
            tag="data-missing",
        )
    if not application.client_app_ids:
        return None  # a registration without anybody who may receive the keys
    backing = [links[link_id] for link_id in application.backing_link_ids]
    over = tuple(link.link_id for link in backing if link.type is LinkType.VIRT)
    if len(over) > MOST_SHARES:
        raise SchemaViolation(
            f"{len(over)} virtual links; keys are split over at most {MOST_SHARES}",
            path=f"{path}/backing_qkdl_id",
        )
    direct = None if over else _direct_route(application, source, backing, own)
    return Ending(
        association=AssociationPlan(
            app_id=application.app_id,
            server=application.server_app_id,
            clients=tuple(
                # Of several clients, those elsewhere are served there.
                each
                for each in application.client_app_ids
                if source or each in served
            ),
            source=source,
            links=over if direct is None else (direct[0].link_id,),
            remote_node=application.remote_node_id,
            qos=application.qos,
            priority=application.priority,
            expires_at=_expiry(application, path),
            mode=application.key_mode,
            threshold=_threshold(application, len(over), path),
        ),
        direct=direct,
    )


def _threshold(application: Application, links: int, path: str) -> int | None:
    """How many shares make a key: only of keys that are split, and no more than there are shares.

    An entry without any link keeps what it said: its links went, and what is stored still serves.
    """
    threshold = application.share_threshold
    if threshold is not None and application.backing_link_ids and not 2 <= threshold <= links:
        raise SchemaViolation(
            f"{threshold} shares of keys that go over {links} virtual links", path=f"{path}/{_THRESHOLD}"
        )
    return None if links == 0 else threshold


def _expiry(application: Application, path: str) -> float | None:
    if application.expiration_time is None:
        return None
    try:
        return parse_date_and_time(application.expiration_time)
    except ValueError as error:
        raise SchemaViolation(str(error), path=f"{path}/expiration_time") from error


def _direct_route(
    application: Application, source: bool, backing: list[Link], own: Node
) -> tuple[Route, LinkId] | None:
    """The route of an association that is backed by a physical link itself, as other controllers do it.

    Its id is derived from the link and the end that makes the keys, which both ends know: so one fibre
    serves associations of both directions. None when no such link is there or wanted.
    """
    for link in backing:
        if link.type is LinkType.PHYS and link.remote is not None and is_wanted(link):
            far = link.remote.node_id
            if application.remote_node_id in (None, far):
                maker = own.node_id if source else far
                route = Route(
                    link_id=LinkId(str(uuid5(UUID(link.link_id), maker))),
                    prev_hop=None if source else far,
                    next_hop=far if source else None,
                )
                return route, link.link_id
    return None
