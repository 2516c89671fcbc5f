"""Associations over several virtual links in a hand-driven network, as a controller lays and switches them.

Sites 1 and 4 are the ends; 2, 3 and 5 lie on three paths between them that share no node.
"""

from dataclasses import replace

from tests.agents.keys.network import APP, MASTER, SLAVE, Network, uid

from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, Route
from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import LinkId

UPPER, LOWER, OUTER = [1, 2, 4], [1, 3, 4], [1, 5, 4]
SOURCE, DESTINATION = 1, 4


def virtual(number: int) -> LinkId:
    return LinkId(uid(number))


def three_ways(*, seed: int = 1, **settings: object) -> Network:
    """Three disjoint paths, connected, with full pools."""
    edges = [(1, 2), (2, 4), (1, 3), (3, 4), (1, 5), (5, 4)]
    network = Network(edges, seed=seed, **settings)
    network.start()
    return network


def lay(network: Network, path: list[int], number: int, method: RelayMethod = RelayMethod.OTP) -> LinkId:
    """Put a virtual link on every node of a path."""
    link_id = virtual(number)
    for index, node in enumerate(path):
        route = Route(
            link_id=link_id,
            prev_hop=network.node(path[index - 1]) if index else None,
            next_hop=network.node(path[index + 1]) if index + 1 < len(path) else None,
            method=method,
        )
        plan = network.plans[node]
        configure(network, node, replace(plan, routes=(*plan.routes, route)))
    return link_id


def remove(network: Network, number: int) -> None:
    """Take a virtual link from every node."""
    for node in network.numbers:
        plan = network.plans[node]
        left = tuple(route for route in plan.routes if route.link_id != virtual(number))
        configure(network, node, replace(plan, routes=left))


def back(
    network: Network,
    *numbers: int,
    at: tuple[int, ...] = (SOURCE, DESTINATION),
    threshold: int | None = None,
) -> None:
    """Write the association at its ends, or at one of them: backed by these virtual links."""
    for node in at:
        association = AssociationPlan(
            app_id=APP,
            server=MASTER,
            clients=(SLAVE,),
            source=node == SOURCE,
            links=tuple(virtual(number) for number in numbers),
            remote_node=network.node(DESTINATION if node == SOURCE else SOURCE),
            threshold=threshold,
        )
        configure(network, node, replace(network.plans[node], associations=(association,)))


def configure(network: Network, node: int, plan: KeyPlan) -> None:
    network.plans[node] = plan
    network.planes[node].configure(plan)
    network.gather()


def protected(**settings: object) -> Network:
    """An association whose keys are split over the upper and the lower path, at work."""
    network = three_ways(**settings)
    lay(network, UPPER, 0x501)
    lay(network, LOWER, 0x502)
    back(network, 0x501, 0x502)
    return network


def ready(network: Network) -> int:
    """Keys that the source would supply now."""
    status = network.planes[SOURCE].serving.status(MASTER, SLAVE)
    assert status is not None
    return status.stored_key_count


def stored(network: Network) -> int:
    """Keys that wait at the destination."""
    return network.planes[DESTINATION].snapshot().associations[APP].stored_keys


def agree(network: Network, number: int) -> None:
    """Draw keys and fetch them: both ends have the same."""
    keys = network.draw(number)
    assert len(keys) == number
    fetched = network.fetch(keys, at=DESTINATION)
    assert all(mine.key.same_as(theirs.key) for mine, theirs in zip(keys, fetched, strict=True))
