"""Virtual links that fork: one master, several slaves at several sites, the same keys at all of them.

    1 --- 2 --- 3        1 is the source; 2 forks; 3 and 5 are leaves; 4 is a leaf on the way to 5
           \\
            4 --- 5
"""

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.agents.keys.network import APP, MASTER, SLAVE, Network, uid

from keyweave_agents.keys.failures import KeysNotFound, NotEntitled
from keyweave_agents.keys.lanes import Request
from keyweave_agents.keys.plan import (
    AssociationPlan,
    AssociationWanted,
    KeyPlan,
    RelayTrouble,
    Route,
    SuppliedKey,
)
from keyweave_agents.keys.relaying.frames import Ask, Batch, Keeper, Sealed
from keyweave_agents.keys.relaying.wire import decode
from keyweave_core.errors import InvalidInput, Refused
from keyweave_core.model.application import AppQos
from keyweave_core.model.ids import LinkId, SaeId

LEAVES = {3: SLAVE, 4: SaeId("sae-fourth"), 5: SaeId("sae-fifth")}
TREE, SECOND = LinkId(uid(0x500)), LinkId(uid(0x501))


def route(network: Network, number: int, before: int | None, *after: int, link_id: LinkId = TREE) -> Route:
    hops = [network.node(one) for one in after]
    return Route(
        link_id=link_id,
        prev_hop=None if before is None else network.node(before),
        next_hop=hops[0] if hops else None,
        branches=tuple(hops[1:]),
        ends_here=number in LEAVES and bool(hops),
    )


def plans(network: Network, links: tuple[LinkId, ...] = (TREE,)) -> dict[int, KeyPlan]:
    places: dict[int, tuple[int | None, tuple[int, ...]]] = {
        1: (None, (2,)),
        2: (1, (3, 4)),
        3: (2, ()),
        4: (2, (5,)),
        5: (4, ()),
    }
    made = {}
    for number, (before, after) in places.items():
        ends: tuple[AssociationPlan, ...] = ()
        if number == 1 or number in LEAVES:
            plan = AssociationPlan(
                app_id=APP,
                server=MASTER,
                clients=tuple(LEAVES.values()) if number == 1 else (LEAVES[number],),
                source=number == 1,
                links=links,
                remote_node=network.node(3 if number == 1 else 1),
            )
            ends = (plan,)
        routes = tuple(route(network, number, before, *after, link_id=link_id) for link_id in links)
        made[number] = KeyPlan(routes=routes, associations=ends)
    return made


def grown(links: tuple[LinkId, ...] = (TREE,), seed: int = 1) -> Network:
    network = Network([(1, 2), (2, 3), (2, 4), (4, 5)], seed=seed)
    network.start()
    for number, plan in plans(network, links).items():
        network.plans[number] = plan
        network.planes[number].configure(plan)
    network.gather()
    return network


def ready(network: Network) -> int:
    assert network.planes[1].serving.status(MASTER, SLAVE) is None, "none are for the slave alone"
    return network.planes[1].snapshot().associations[APP].stored_keys


def agree(network: Network, number: int) -> None:
    keys = network.draw(number)
    assert len(keys) == number
    for leaf in LEAVES:
        for mine, theirs in zip(keys, fetch(network, leaf, keys), strict=True):
            assert mine.key.same_as(theirs.key)


def fetch(network: Network, leaf: int, keys: tuple[SuppliedKey, ...]) -> tuple[SuppliedKey, ...]:
    return network.planes[leaf].serving.fetch(LEAVES[leaf], MASTER, tuple(key.key_id for key in keys))


@pytest.mark.parametrize("links", [(TREE,), (TREE, SECOND)], ids=["whole", "in shares"])
def test_every_leaf_has_the_keys_before_the_master_gets_them(links: tuple[LinkId, ...]) -> None:
    network = grown(links)
    network.settle()
    assert ready(network) == 16
    agree(network, 16)
    network.settle()
    assert all(plane.relay.open_batches == 0 for plane in network.planes.values())
    assert network.bad == []


def test_each_branch_has_its_own_pad() -> None:
    network = Network([(1, 2), (2, 3), (2, 4), (4, 5)], buffer_keys=8)
    network.start()
    before = {link_id: network.levels(link_id) for link_id in network.links}
    for number, plan in plans(network).items():
        network.planes[number].configure(plan)
    network.settle()
    for link_id, (level,) in before.items():
        (after,) = network.levels(link_id)
        assert level - after == 8 * (8 * 32 + 32 + 32), "once on each fibre of the tree, however many leaves"


def test_one_leaf_that_does_not_answer_holds_back_the_keys_of_all() -> None:
    network = grown()
    network.disconnect(network.link(4, 5))
    network.settle()
    assert ready(network) == 0
    network.wait(3)
    assert ready(network) == 0
    troubles = [event for event in network.events[1] if isinstance(event, RelayTrouble)]
    assert [event.link_id for event in troubles] == [TREE]
    assert str(network.node(4)) in troubles[0].reason
    network.connect(network.link(4, 5))
    network.wait(3)
    agree(network, 16)


def test_a_leaf_on_the_way_keeps_what_comes_before_its_application_is_there() -> None:
    network = Network([(1, 2), (2, 3), (2, 4), (4, 5)])
    network.start()
    told = plans(network)
    for number, plan in told.items():
        first = network.plans[number] = replace(plan, associations=()) if number == 4 else plan
        network.planes[number].configure(first)
    network.settle()
    assert ready(network) == 0, "5 has the keys, and 4 has not"
    network.planes[4].configure(told[4])
    network.wait(3)
    agree(network, 16)


def test_a_leaf_on_the_way_hears_of_another_tree_after_its_master() -> None:
    network = grown()
    network.settle()
    there = plans(network, (TREE, SECOND))
    after = plans(network, (SECOND,))
    for number in network.planes:  # both trees stand; the ends still name the first
        ends = plans(network)[number].associations
        network.planes[number].configure(KeyPlan(routes=there[number].routes, associations=ends))
    for number in (1, 3, 5):
        network.planes[number].configure(
            KeyPlan(routes=there[number].routes, associations=after[number].associations)
        )
    agree(network, 16)  # relayed over the first
    network.settle()
    for _ in range(3):
        network.settle()
        if ready(network):
            agree(network, ready(network))
    network.planes[4].configure(KeyPlan(routes=there[4].routes, associations=after[4].associations))
    network.wait(6)
    for number, plan in after.items():
        network.planes[number].configure(plan)
    network.wait(3)
    agree(network, 16)


def test_what_one_branch_lost_is_sent_again_there_alone() -> None:
    network = grown()
    while not network.wires[network.link(2, 4), 2]:
        network.deliver(network.link(1, 2), 1)
    network.wires[network.link(2, 4), 2].clear()
    network.settle()
    assert ready(network) < 16
    network.clock.time_s += 1.1
    network.tick()
    network.deliver(network.link(1, 2), 1)
    assert not [raw for raw in network.wires[network.link(2, 3), 2] if isinstance(decode(raw), Sealed)]
    assert [raw for raw in network.wires[network.link(2, 4), 2] if isinstance(decode(raw), Sealed)]
    network.wait(4)
    agree(network, 16)


def test_a_leaf_serves_its_own_client_alone_and_once() -> None:
    network = grown()
    network.settle()
    keys = network.draw(1)
    with pytest.raises(NotEntitled):
        network.planes[3].serving.fetch(LEAVES[4], MASTER, (keys[0].key_id,))
    fetch(network, 3, keys)
    with pytest.raises(KeysNotFound):
        fetch(network, 3, keys)
    assert len(fetch(network, 4, keys)) == 1


@pytest.mark.parametrize("leaf", LEAVES)
def test_any_leaf_that_restarted_makes_the_source_drop_its_buffer(leaf: int) -> None:
    network = grown()
    network.settle()
    old = {key.key_id for key in network.draw(2)}
    network.restart(leaf)
    for link_id in network.links:
        network.connect(link_id)
    network.settle()
    network.fill()
    network.settle()
    network.wait(2)
    keys = network.draw(4)
    assert not old & {key.key_id for key in keys}
    assert all(len(fetch(network, each, keys)) == 4 for each in LEAVES)


def test_of_a_fork_nobody_asks_who_keeps_the_keys() -> None:
    network = grown()
    network.settle()
    network.planes[2].handle(network.link(1, 2), Ask(link_id=TREE))
    network.planes[2].handle(network.link(2, 3), Keeper(link_id=TREE, keeper=bytes(16)))
    network.planes[4].handle(network.link(2, 4), Ask(link_id=TREE))
    assert network.planes[2].take_outbox() == network.planes[4].take_outbox() == []


def test_a_corrupt_message_on_one_branch_is_sent_again_there() -> None:
    network = grown()
    while not network.wires[network.link(2, 3), 2]:
        network.deliver(network.link(1, 2), 1)
    wire = network.wires[network.link(2, 3), 2]
    frame = decode(wire[0])
    assert isinstance(frame, Sealed)
    assert isinstance(frame.content, Batch)
    raw = bytearray(wire[0])
    raw[raw.index(bytes(frame.ciphertext))] ^= 1
    wire[0] = bytes(raw)
    network.settle()
    assert network.planes[3].sessions[network.link(2, 3)].bad_tags == 1
    agree(network, 16)


def test_a_pair_alone_is_not_served_from_a_group() -> None:
    network = grown()
    network.settle()
    pair = AssociationPlan(
        app_id=APP.replace("a00", "a01"),  # type: ignore[arg-type]  # an id like the other
        server=MASTER,
        clients=(SLAVE,),
        source=True,
        links=(LinkId(uid(0x600)),),
        remote_node=network.node(3),
    )
    source = network.plans[1]
    assert network.request(also=()).keys is None, "keys of three are no keys of one"
    network.planes[1].configure(replace(source, associations=(*source.associations, pair)))
    assert network.request(also=()).keys is None, "it has made none yet"
    assert network.draw(1)


def group(network: Network, *also: SaeId) -> Request:
    request = Request(
        server=MASTER, client=SLAVE, also=also, number=1, size_bits=256, qos=AppQos(), priority=0
    )
    network.planes[1].serving.request(request)
    network.gather()
    return request


def test_a_master_asks_for_several_slaves_at_once() -> None:
    network = grown()
    network.settle()
    request = group(network, LEAVES[4], LEAVES[5])
    assert request.keys is not None
    keys = network.planes[1].serving.collect(request)
    assert all(len(fetch(network, leaf, keys)) == 1 for leaf in LEAVES)
    assert group(network, SaeId("sae-elsewhere")).keys is None, "one of them is no client here"


def test_the_controller_is_asked_for_all_slaves_together_and_may_refuse_them_together() -> None:
    network = Network([(1, 2), (2, 3), (2, 4), (4, 5)])
    network.start()
    request = group(network, LEAVES[5], LEAVES[4], LEAVES[4])
    pair = network.request()
    assert [one for one in network.events[1] if isinstance(one, AssociationWanted)] == [
        AssociationWanted(
            server=MASTER,
            clients=(SLAVE, *sorted((LEAVES[4], LEAVES[5]))),
            qos=AppQos(clients_shared_keys_required=True),
        ),
        AssociationWanted(server=MASTER, clients=(SLAVE,), qos=AppQos()),
    ]
    (listed,) = network.planes[1].snapshot().waiting
    assert listed.clients == (SLAVE,), "the tree lists pairs"
    network.planes[1].serving.refuse(MASTER, (SLAVE, LEAVES[4]), ("no path",))
    assert isinstance(pair.error, Refused)
    assert not request.ended
    for number, plan in plans(network).items():
        network.plans[number] = plan
        network.planes[number].configure(plan)
    network.settle()
    assert request.keys is not None
    second = Network([(1, 2), (2, 3), (2, 4), (4, 5)])
    second.start()
    request = group(second, LEAVES[4])
    second.planes[1].serving.refuse(MASTER, (LEAVES[4], SLAVE), ("no tree",))
    assert isinstance(request.error, Refused)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"branches": ("b",)}, "goes twice to one next hop"),
        ({"branches": ("a",)}, "goes back"),
        ({"next_hop": None, "branches": ("c",)}, "has branches and no next hop"),
        ({"next_hop": None, "ends_here": True}, "does not pass through"),
        ({"prev_hop": None, "ends_here": True}, "does not pass through"),
    ],
)
def test_a_fork_that_contradicts_itself_is_refused(change: dict[str, object], complaint: str) -> None:
    network = grown()
    values: dict[str, object] = {"link_id": TREE, "prev_hop": "a", "next_hop": "b"}
    wrong = Route(**(values | change))  # type: ignore[arg-type]  # a test's fields
    with pytest.raises(InvalidInput, match=complaint):
        network.planes[2].configure(KeyPlan(routes=(wrong,)))


STEPS = ["deliver"] * 8 + [
    "settle",
    "tick",
    "draw",
    "fetch",
    "cut",
    "join",
    "generate",
    "lose",
    "repeat",
    "swap",
]


@settings(max_examples=int(os.environ.get("KEYWEAVE_EXAMPLES", "60")), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 400)), max_size=60),
    st.integers(0, 99),
    st.sampled_from([(TREE,), (TREE, SECOND)]),
)
def test_law_all_leaves_hold_what_the_master_got(
    history: list[tuple[str, int]], seed: int, links: tuple[LinkId, ...]
) -> None:
    network = grown(links, seed)
    drawn: dict[str, SuppliedKey] = {}
    for name, choice in history:
        link_id = list(network.links)[choice % len(network.links)]
        wires = [(key, wire) for key, wire in network.wires.items() if wire]
        match name:
            case "deliver" if wires:
                network.deliver(*wires[choice % len(wires)][0])
            case "lose" if wires:
                wires[choice % len(wires)][1].popleft()
            case "repeat" if wires:
                network.deliver(*wires[choice % len(wires)][0], copy=True)
            case "swap" if wires:
                wires[choice % len(wires)][1].rotate(1)
            case "settle":
                network.settle()
            case "tick":
                network.clock.time_s += 0.1 * (choice % 30)
                network.tick()
            case "cut":
                network.disconnect(link_id)
            case "join":
                network.connect(link_id)
                network.gather()
            case "generate":
                network.generate(link_id, 64 + choice)
            case "draw":
                keys = network.draw(1 + choice % 3)
                assert not drawn.keys() & {key.key_id for key in keys}
                drawn |= {key.key_id: key for key in keys}
    for leaf in LEAVES if drawn else ():  # whatever goes on, what the master got every leaf has
        fetched = fetch(network, leaf, tuple(drawn.values()))
        assert all(one.key.same_as(two.key) for one, two in zip(drawn.values(), fetched, strict=True))
    for link_id in network.links:
        network.disconnect(link_id)
        network.connect(link_id)
    network.settle()
    for _ in range(40):
        for link_id in network.links:
            network.generate(link_id)
        network.wait(0.5)
    assert ready(network) > 12
    agree(network, 4)
