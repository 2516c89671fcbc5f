"""Relay by AES-256-GCM and by announcement: the same keys at both ends, nothing twice, nothing weaker."""

from dataclasses import replace

import pytest
from tests.agents.keys.network import APP, MASTER, SLAVE, KeyLimits, Network, chain, message, uid
from tests.agents.keys.protected import DESTINATION, LOWER, UPPER, agree, back, lay, three_ways

from keyweave_agents.keys.plan import KeyPlan, RelayRestored, RelayTrouble, Route
from keyweave_agents.keys.relaying import link_keys
from keyweave_agents.keys.relaying.frames import Ack, Batch, Nack, Reason, Sealed
from keyweave_agents.keys.relaying.wire import decode
from keyweave_core.errors import InvalidInput
from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import LinkId

OTP, GCM, XOR = RelayMethod.OTP, RelayMethod.AES_256_GCM, RelayMethod.XOR_ANNOUNCE
OTHERS = [GCM, XOR]


def started(length: int, method: RelayMethod, **settings: object) -> Network:
    network = chain(length, **settings)  # type: ignore[arg-type]  # tests choose
    network.start()
    network.associate(list(range(1, length + 1)), method=method)
    return network


def same(network: Network, number: int, *, at: int) -> None:
    keys = network.draw(number)
    assert len(keys) == number
    fetched = network.fetch(keys, at=at)
    assert all(mine.key.same_as(theirs.key) for mine, theirs in zip(keys, fetched, strict=True))


def taken(network: Network, node: int, link_id: LinkId) -> int:
    return network.planes[node].sessions[link_id].pool.taken_bytes


def sealed_on(network: Network, link_id: LinkId, sender: int) -> list[Sealed]:
    frames = [decode(raw) for raw in network.wires[link_id, sender]]
    return [frame for frame in frames if isinstance(frame, Sealed)]


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize("length", [2, 3, 5])
def test_both_ends_have_the_same_keys(method: RelayMethod, length: int) -> None:
    network = started(length, method)
    network.settle()
    same(network, 16, at=length)
    network.settle()
    same(network, 12, at=length)
    network.settle()
    assert all(plane.relay.open_batches == 0 for plane in network.planes.values())
    assert network.bad == []


@pytest.mark.parametrize("method", [OTP, *OTHERS])
def test_no_key_ever_passes_in_clear(method: RelayMethod) -> None:
    network = started(3, method)
    traffic = b""
    for _ in range(100):
        busy = [key for key, wire in network.wires.items() if wire]
        if not busy:
            break
        traffic += network.wires[busy[0]][0]
        network.deliver(*busy[0])
    keys = network.draw(16)
    assert not any(bytes(key.key.reveal()) in traffic for key in keys)


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize("at", range(6))
def test_one_lost_message_is_made_good(method: RelayMethod, at: int) -> None:
    network = started(4, method)
    for _ in range(at):
        busy = [key for key, wire in network.wires.items() if wire]
        if busy:
            network.deliver(*busy[0])
    lost = next(wire for wire in network.wires.values() if wire)
    lost.popleft()
    network.wait(8)
    same(network, 16, at=4)


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize("edge", [(1, 2), (2, 3), (3, 4)])
def test_a_connection_that_breaks_under_way_is_made_good(method: RelayMethod, edge: tuple[int, int]) -> None:
    network = started(4, method)
    for _ in range(3):
        network.deliver(*next(key for key, wire in network.wires.items() if wire))
    link_id = network.link(*edge)
    network.disconnect(link_id)
    network.wait(1)
    network.connect(link_id)
    network.wait(6)
    same(network, 16, at=4)
    network.restart(2)
    for one in network.links:
        network.connect(one)
    network.settle()
    network.fill()
    network.wait(8)
    same(network, 16, at=4)


@pytest.mark.parametrize("method", [OTP, *OTHERS])
@pytest.mark.parametrize("other", [OTP, *OTHERS])
def test_keys_by_another_method_are_refused_and_told(method: RelayMethod, other: RelayMethod) -> None:
    network = chain(3)
    network.start()
    network.associate([1, 2, 3], method=method)
    plan = network.plans[2]
    network.plans[2] = replace(plan, routes=tuple(replace(route, method=other) for route in plan.routes))
    network.planes[2].configure(network.plans[2])
    network.wait(8)
    ready = network.planes[1].serving.status(MASTER, SLAVE)
    assert ready is not None
    if method is other:
        assert ready.stored_key_count == 16
        return
    assert ready.stored_key_count == 0
    for node in (1, 2):
        troubles = [event for event in network.events[node] if isinstance(event, RelayTrouble)]
        assert any("another relay method" in trouble.reason for trouble in troubles)
    network.plans[2] = plan
    network.planes[2].configure(plan)
    network.wait(8)
    same(network, 16, at=3)
    assert any(isinstance(event, RelayRestored) for event in network.events[1])


# --- AES-256-GCM --------------------------------------------------------------------------------


def test_link_keys_cost_32_bytes_a_direction_and_connection() -> None:
    network = started(3, GCM)
    network.settle()
    for _ in range(3):
        same(network, 16, at=3)
        network.settle()
    for edge in ((1, 2), (2, 3)):
        assert taken(network, edge[0], network.link(*edge)) == 64
    link_id = network.link(1, 2)
    network.disconnect(link_id)
    network.connect(link_id)
    network.settle()
    network.wait(1)
    assert taken(network, 1, link_id) == 128, "another connection has other keys"


def test_a_link_key_ends_after_so_many_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_keys, "MOST_MESSAGES", 3)
    network = started(2, GCM)
    network.settle()
    for _ in range(6):
        same(network, 8, at=2)
        network.settle()
    link_id = network.link(1, 2)
    assert len(network.link_keys[link_id, 1]) >= 3
    assert all(counter <= 3 for _, _, _, counter in network.counters)


def test_a_link_key_ends_after_so_many_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_keys, "MOST_BYTES", 600)
    network = started(2, GCM)
    network.settle()
    for _ in range(4):
        same(network, 16, at=2)
        network.settle()
    assert len(network.link_keys[network.link(1, 2), 1]) >= 3


def test_a_link_key_ends_after_a_time() -> None:
    network = started(2, GCM)
    network.settle()
    network.clock.time_s += link_keys.LINK_KEY_LIFE_S
    network.tick()
    network.settle()
    network.wait(1)
    link_id = network.link(1, 2)
    for plane in network.planes.values():
        plane.tick()
    network.clock.time_s += link_keys.LINK_KEY_LIFE_S + 1
    for number, plane in network.planes.items():
        plane.relay.resume(0.0)
        plane.sessions[link_id].tick(network.clock.time_s)
        assert plane.sessions[link_id]._sending is None, number
    same(network, 8, at=2)
    network.settle()
    assert len(network.link_keys[link_id, 1]) >= 2


def test_without_pool_bits_for_a_link_key_nothing_goes_and_then_it_does() -> None:
    network = chain(2)
    link_id = network.link(1, 2)
    network.connect(link_id)
    network.settle()
    network.associate([1, 2], method=GCM)
    network.wait(1)
    assert network.draw(1) == ()
    network.generate(link_id, 40)
    network.generate(link_id, 40)
    network.wait(2)
    same(network, 16, at=2)


def test_more_keys_than_pool_bits() -> None:
    network = chain(2, buffer_keys=64)
    link_id = network.link(1, 2)
    network.connect(link_id)
    network.settle()
    network.generate(link_id, 64)
    network.generate(link_id, 64)
    network.associate([1, 2], method=GCM)
    network.wait(2)
    same(network, 64, at=2)


def test_a_message_that_is_replayed_is_refused() -> None:
    network = started(2, GCM)
    link_id = network.link(1, 2)
    raw = network.wires[link_id, 1][0]
    network.settle()
    network.wait(40, step_s=1)  # every record of the batch is forgotten
    before = network.planes[2].snapshot().associations[APP].stored_keys
    network.planes[2].handle(link_id, decode(raw))
    assert network.planes[2].sessions[link_id].bad_tags == 1
    (answer,) = [decode(bytes(frame[4:])) for _, frame in network.planes[2].take_outbox()]
    assert isinstance(answer, Nack)
    assert answer.reason is Reason.BAD_TAG
    assert network.planes[2].snapshot().associations[APP].stored_keys == before


@pytest.mark.parametrize("where", ["head", "ciphertext", "tag", "counter"])
def test_a_changed_message_under_a_link_key_is_refused(where: str) -> None:
    network = started(2, GCM)
    link_id = network.link(1, 2)
    raw = bytearray(network.wires[link_id, 1][0])
    frame = decode(bytes(raw))
    assert isinstance(frame, Sealed)
    assert isinstance(frame.content, Batch)
    at = {
        "head": raw.index(frame.content.batch_id),
        "ciphertext": raw.index(bytes(frame.ciphertext)),
        "tag": len(raw) - 1,
        "counter": raw.index(frame.written) - 1,
    }[where]
    raw[at] ^= 1
    network.wires[link_id, 1][0] = bytes(raw)
    network.settle()
    assert network.planes[2].sessions[link_id].bad_tags == 1
    network.wait(3)
    same(network, 16, at=2)


def test_an_acknowledgement_by_another_method_counts_for_nothing() -> None:
    network = chain(2)
    network.start()
    network.associate([1, 2], method=GCM)
    link_id = network.link(1, 2)
    batch = sealed_on(network, link_id, 1)[0].content
    assert isinstance(batch, Batch)
    from keyweave_agents.keys.relaying.sealed import write_acks

    ack = Ack(batch_id=batch.batch_id, link_id=batch.link_id, keeper=bytes(16))
    frame = network.planes[2].sessions[link_id].seal(write_acks([ack]))
    network.planes[2].take_outbox()
    network.planes[1].handle(link_id, decode(bytes(frame[4:])))
    assert network.draw(1) == ()


def test_a_key_range_that_is_not_there_is_refused() -> None:
    network = started(2, GCM)
    network.settle()
    link_id = network.link(1, 2)
    frame = Batch(batch_id=b"x" * 16, app_id=APP, link_id=LinkId(uid(0x500)), key_bytes=32, key_ids=bytes(16))
    from keyweave_agents.keys.store import PadRange

    raw = message(frame, (PadRange(10**6, 0, 32),), bytes(32), method=GCM, counter=1)
    network.planes[2].handle(link_id, decode(raw[4:]))
    answers = [decode(bytes(one[4:])) for _, one in network.planes[2].take_outbox()]
    assert [one.reason for one in answers if isinstance(one, Nack)] == [Reason.PAD_GONE]


# --- announced ----------------------------------------------------------------------------------


def test_the_keys_are_bits_of_the_first_pool_and_no_node_between_keeps_them() -> None:
    network = chain(4)
    network.start()
    network.associate([1, 2, 3, 4], method=XOR)
    first = sealed_on(network, network.link(1, 2), 1)
    assert all(len(frame.ciphertext) == 0 for frame in first), "only where the bits lie is told"
    while network.wires[network.link(1, 2), 1]:
        network.deliver(network.link(1, 2), 1)
    records = list(network.planes[2].relay._under_way.open.values())
    assert records
    assert all(record.payload is None for record in records)
    network.settle()
    same(network, 16, at=4)


def test_a_hop_without_pad_gives_the_announcement_back_and_the_source_makes_a_smaller_one() -> None:
    network = chain(3)
    for link_id in network.links:
        network.connect(link_id)
    network.settle()
    network.fill(network.link(1, 2))
    network.generate(network.link(2, 3), 300)
    network.generate(network.link(2, 3), 300)
    network.associate([1, 2, 3], method=XOR)
    network.wait(6)
    assert network.planes[2].relay.open_batches == 0
    network.fill()
    network.wait(10)
    same(network, 12, at=3)


def test_announced_keys_go_on_when_the_destination_hears_of_its_association_late() -> None:
    network = chain(3)
    network.start()
    network.associate([1, 2, 3], method=XOR)
    late = network.plans[3]
    network.planes[3].configure(KeyPlan(routes=late.routes))
    network.wait(3)
    network.planes[3].configure(late)
    network.wait(6)
    same(network, 16, at=3)


def test_a_fork_of_announced_keys_is_refused() -> None:
    network = chain(3)
    link_id = LinkId(uid(0x500))
    forks = (
        Route(
            link_id=link_id,
            prev_hop=None,
            next_hop=network.node(2),
            branches=(network.node(7),),
            method=XOR,
        ),
        Route(
            link_id=link_id,
            prev_hop=network.node(1),
            next_hop=network.node(3),
            ends_here=True,
            method=XOR,
        ),
    )
    for fork in forks:
        with pytest.raises(InvalidInput, match="use the one-time pad"):
            network.planes[2].configure(KeyPlan(routes=(fork,)))


@pytest.mark.parametrize("method", OTHERS)
@pytest.mark.parametrize("size_bits", [64, 128, 8192])
def test_keys_of_every_size_travel(method: RelayMethod, size_bits: int) -> None:
    network = started(3, method)
    network.settle()
    request = network.request(5, size_bits)
    network.settle()
    keys = network.planes[1].serving.collect(request)
    fetched = network.fetch(keys, at=3)
    assert [len(key.key) for key in keys] == [size_bits // 8] * 5
    assert all(mine.key.same_as(theirs.key) for mine, theirs in zip(keys, fetched, strict=True))


@pytest.mark.parametrize("method", [OTP, *OTHERS])
def test_batches_of_4096_keys(method: RelayMethod) -> None:
    limits = KeyLimits(keys_per_batch=4096, keys_per_request=4096, stored_keys=20_000)
    network = chain(3, buffer_keys=8192, limits=limits, pool_capacity_bits=40_000_000)
    for link_id in network.links:
        network.connect(link_id)
    network.settle()
    for link_id in network.links:
        network.fill(link_id, 100_000)
    network.associate([1, 2, 3], method=method)
    network.settle()
    network.draw(4096)
    while network.wires[network.link(1, 2), 1]:
        network.deliver(network.link(1, 2), 1)
    frames = sealed_on(network, network.link(2, 3), 2)
    assert max(frame.content.count for frame in frames if isinstance(frame.content, Batch)) == 4096
    network.settle()
    same(network, 4096, at=3)


@pytest.mark.parametrize("method", OTHERS)
def test_shares_travel_by_any_method(method: RelayMethod) -> None:
    network = three_ways()
    lay(network, UPPER, 0x501, method)
    lay(network, LOWER, 0x502)
    back(network, 0x501, 0x502)
    network.settle()
    agree(network, 16)
    network.disconnect(network.link(2, DESTINATION))
    network.wait(2)
    network.connect(network.link(2, DESTINATION))
    network.wait(6)
    agree(network, 16)


def test_an_association_moves_between_links_of_different_methods() -> None:
    network = three_ways()
    for number, path, method in ((0x501, UPPER, XOR), (0x502, LOWER, GCM), (0x503, UPPER, OTP)):
        lay(network, path, number, method)
    back(network, 0x501)
    for number in (0x502, 0x503, 0x501, 0x502):
        back(network, number)
        network.wait(1)
        agree(network, 12)
        network.settle()
