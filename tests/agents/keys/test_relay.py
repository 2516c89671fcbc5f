"""Relay from hop to hop: what goes wrong on the way, and what it costs."""

import pytest
from tests.agents.keys.network import APP, MASTER, SLAVE, KeyLimits, Network, chain, message, uid

from keyweave_agents.keys.plan import KeyPlan, RelayRestored, RelayTrouble
from keyweave_agents.keys.relaying.frames import Ack, Ask, Batch, Doubt, Held, Keeper, Nack, Reason, Sealed
from keyweave_agents.keys.relaying.sealed import write_batch
from keyweave_agents.keys.relaying.wire import decode
from keyweave_agents.keys.store import PadRange
from keyweave_core.model.ids import AppId, LinkId


def stored(network: Network, at: int = 1) -> int:
    status = network.planes[at].serving.status(MASTER, SLAVE)
    assert status is not None
    return status.stored_key_count


def started(length: int = 4, **settings: object) -> Network:
    network = chain(length, **settings)
    network.start()
    network.associate(list(range(1, length + 1)))
    network.settle()
    return network


def sealed_on(network: Network, link_id: LinkId, sender: int) -> list[Sealed]:
    frames = [decode(raw) for raw in network.wires[link_id, sender]]
    return [frame for frame in frames if isinstance(frame, Sealed)]


@pytest.mark.parametrize("length", [2, 3, 4, 7])
def test_keys_arrive_over_any_number_of_hops(length: int) -> None:
    network = started(length)
    assert stored(network) == 16
    keys = network.draw(5)
    assert len(keys) == 5
    for mine, theirs in zip(keys, network.fetch(keys, at=length), strict=True):
        assert mine.key_id == theirs.key_id
        assert mine.key.same_as(theirs.key)
        assert mine.key.bits == 256
    network.settle()
    assert all(plane.relay.open_batches == 0 for plane in network.planes.values())


def test_keys_are_random_uuids_and_different() -> None:
    network = started()
    keys = network.draw(16)
    assert len({key.key_id for key in keys}) == len({bytes(key.key.reveal()) for key in keys}) == 16
    assert all(key.key_id[14] == "4" and key.key_id[19] in "89ab" for key in keys)


def test_one_batch_costs_payload_and_tag_forward_and_a_tag_backward_on_each_hop() -> None:
    network = chain(4, buffer_keys=8)
    network.start()
    before = {link_id: network.levels(link_id) for link_id in network.links}
    network.associate([1, 2, 3, 4])
    network.settle()
    for link_id, (level,) in before.items():
        (after,) = network.levels(link_id)
        assert level - after == 8 * (8 * 32 + 32 + 32)


def test_no_key_is_ever_on_a_wire_in_clear() -> None:
    network = chain(4)
    network.start()
    seen: list[bytes] = []
    deliver = network.deliver

    def listen(link_id: LinkId, sender: int, position: int = 0, *, copy: bool = False) -> None:
        seen.append(network.wires[link_id, sender][position])
        deliver(link_id, sender, position, copy=copy)

    network.deliver = listen  # type: ignore[method-assign]  # a tap on the wires
    network.associate([1, 2, 3, 4])
    network.settle()
    keys = network.draw(16)
    traffic = b"".join(seen)
    assert len(traffic) > 3 * 16 * 32
    assert not any(bytes(key.key.reveal()) in traffic for key in keys)


def test_the_first_batch_is_small_and_the_rest_follows_at_once() -> None:
    network = chain(3, buffer_keys=64)
    network.start()
    network.associate([1, 2, 3])
    batches = [frame.content for frame in sealed_on(network, network.link(1, 2), 1)]
    assert [batch.count for batch in batches if isinstance(batch, Batch)] == [8, 56]


def test_the_buffer_is_topped_up_by_the_quarter() -> None:
    network = started(3, buffer_keys=16)
    network.draw(3)
    network.settle()
    assert stored(network) == 13, "not worth a batch yet"
    network.draw(1)
    network.settle()
    assert stored(network) == 16


def test_a_repeated_batch_is_answered_and_stored_once() -> None:
    network = chain(3)
    network.start()
    network.associate([1, 2, 3])
    link_id = network.link(1, 2)
    network.deliver(link_id, 1, copy=True)
    network.deliver(link_id, 1, copy=True)
    network.settle()
    assert stored(network) == 16
    assert network.planes[3].snapshot().associations[APP].stored_keys == 16
    assert network.bad == []


def test_a_lost_batch_is_repeated_byte_by_byte_without_new_pad() -> None:
    network = chain(2)
    network.start()
    network.associate([1, 2])
    link_id = network.link(1, 2)
    lost = list(network.wires[link_id, 1])
    network.wires[link_id, 1].clear()
    network.clock.time_s += 1.1
    network.tick()
    assert list(network.wires[link_id, 1]) == lost
    network.settle()
    assert stored(network) == 16


def test_a_lost_acknowledgement_is_given_again() -> None:
    network = chain(3)
    network.start()
    network.associate([1, 2, 3])
    link_id = network.link(2, 3)
    while not network.wires[link_id, 3]:
        key = next(key for key, wire in network.wires.items() if wire)
        network.deliver(*key)
    network.wires[link_id, 3].clear()
    network.settle()
    network.wait(6)
    assert stored(network) == 16


def test_after_a_reconnect_batches_are_sealed_with_fresh_pad() -> None:
    network = chain(3)
    network.start()
    network.associate([1, 2, 3])
    link_id = network.link(1, 2)
    first = {frame.pad for frame in sealed_on(network, link_id, 1)}
    network.disconnect(link_id)
    network.connect(link_id)
    network.settle()
    assert stored(network) >= 16
    assert first, "and the watcher of the network has seen none of these used again"


def test_a_corrupt_message_burns_its_bits_at_both_ends_and_is_sent_again() -> None:
    network = chain(2)
    network.start()
    network.associate([1, 2])
    link_id = network.link(1, 2)
    wire = network.wires[link_id, 1]
    frame = sealed_on(network, link_id, 1)[0]
    raw = bytearray(wire[0])
    raw[raw.index(frame.ciphertext)] ^= 1
    wire[0] = bytes(raw)
    network.settle()
    assert network.planes[2].sessions[link_id].bad_tags == 1
    assert stored(network) == 16
    assert len(network.levels(link_id)) == 1


def test_a_header_is_proved_like_the_keys() -> None:
    network = chain(2)
    network.start()
    network.associate([1, 2])
    link_id = network.link(1, 2)
    frame = sealed_on(network, link_id, 1)[0]
    batch = frame.content
    assert isinstance(batch, Batch)
    forged = Batch(
        batch_id=batch.batch_id,
        app_id=AppId(uid(0xBAD)),
        link_id=batch.link_id,
        key_bytes=batch.key_bytes,
        key_ids=batch.key_ids,
        number=batch.number,
    )
    raw = message(forged, frame.pad, bytes(frame.ciphertext), frame.tag)
    network.planes[2].handle(link_id, decode(raw[4:]))
    assert network.planes[2].sessions[link_id].bad_tags == 1


def test_wrong_tags_again_and_again_are_reported_once_in_a_while() -> None:
    network = started(2)
    link_id = network.link(1, 2)
    position = network.planes[2].sessions[link_id].pool.their.stock()
    assert position.spent is not None
    block, offset = (
        position.held[0],
        position.spent.offset if position.held[0] == position.spent.block_id else 0,
    )
    for index in range(6):
        ack = Ack(batch_id=bytes(16), link_id=LinkId(uid(0x500)), keeper=bytes(16))
        raw = message(ack, (PadRange(block, offset + 32 * index, 32),))
        network.planes[2].handle(link_id, decode(raw[4:]))
    troubles = [event for event in network.events[2] if isinstance(event, RelayTrouble)]
    assert len(troubles) == 1
    assert "do not prove themselves" in troubles[0].reason
    assert network.planes[2].sessions[link_id].bad_tags == 6


def test_a_forged_acknowledgement_supplies_nothing() -> None:
    network = chain(2)
    network.start()
    network.associate([1, 2])
    link_id = network.link(1, 2)
    batch = sealed_on(network, link_id, 1)[0].content
    block = network.planes[1].sessions[link_id].pool.their.stock().held[0]
    ack = Ack(batch_id=batch.batch_id, link_id=batch.link_id, keeper=bytes(16))
    network.planes[1].handle(link_id, decode(message(ack, (PadRange(block, 0, 32),))[4:]))
    assert stored(network) == 0


def test_without_pad_at_a_hop_the_source_hears_why_and_key_makes_it_go_on() -> None:
    network = chain(3)
    for link_id in network.links:
        network.connect(link_id)
    network.settle()
    network.fill(network.link(1, 2))
    network.settle()
    network.associate([1, 2, 3])
    request = network.request(4)
    network.settle()
    serving = network.planes[1].serving
    assert serving.why(request) == (f"0 of 4 keys ready: {Reason.NO_PAD.value} (at node {network.node(2)})")
    network.generate(network.link(2, 3), 2000)
    network.generate(network.link(2, 3), 2000)
    network.settle()
    assert request.keys is not None, "no waiting for the source's next attempt"


def test_batches_shrink_where_a_pool_on_the_way_gives_little() -> None:
    network = chain(3, buffer_keys=64)
    for link_id in network.links:
        network.connect(link_id)
    network.settle()
    network.fill(network.link(1, 2))
    network.settle()
    network.associate([1, 2, 3])
    network.settle()
    sizes = []
    for _ in range(60):
        network.generate(network.link(2, 3), 100)
        network.wait(1)
        sizes.append(stored(network))
        network.draw(stored(network))
    assert sum(sizes) > 20, "a slow link gives few keys, but it gives them"


def test_acknowledgements_wait_for_pad_of_their_own() -> None:
    network = chain(2)
    link_id = network.link(1, 2)
    network.connect(link_id)
    network.settle()
    assert network.planes[1].next_owner(link_id) == network.node(1)
    network.generate(link_id, 2000)  # only the dialling end may spend it
    network.settle()
    network.associate([1, 2])
    network.settle()
    assert stored(network) == 0
    network.generate(link_id, 200)
    network.settle()
    assert stored(network) == 16


def test_a_path_that_is_not_configured_everywhere_is_tried_again() -> None:
    network = chain(4)
    network.start()
    network.associate([1, 2, 3, 4])
    network.planes[3].configure(KeyPlan())
    network.settle()
    assert stored(network) == 0
    network.planes[3].configure(network.plans[3])
    network.wait(3)
    assert stored(network) == 16


def test_keys_that_come_before_their_association_wait_for_it() -> None:
    network = chain(3)
    network.start()
    network.associate([1, 2, 3])
    plan = network.plans[3]
    network.planes[3].configure(KeyPlan(routes=plan.routes))
    network.settle()
    assert stored(network) == 0
    network.planes[3].configure(plan)
    network.settle()
    assert stored(network) == 16, "at once, without waiting for the source's next attempt"


def test_a_failing_path_is_reported_and_the_report_names_the_place() -> None:
    network = chain(3)
    network.start()
    network.associate([1, 2, 3])
    network.planes[2].configure(KeyPlan())
    network.wait(5)
    troubles = [event for event in network.events[1] if isinstance(event, RelayTrouble)]
    assert len(troubles) == 1
    assert troubles[0].link_id == uid(0x500)
    assert str(network.node(2)) in troubles[0].reason
    network.planes[2].configure(network.plans[2])
    network.wait(5)
    assert network.events[1][-1] == RelayRestored(link_id=LinkId(uid(0x500)))
    assert sum(isinstance(event, RelayRestored) for event in network.events[1]) == 1


def test_a_batch_from_a_neighbour_that_is_not_on_the_path_goes_nowhere() -> None:
    network = Network([(1, 2), (2, 3), (4, 2)])
    network.start()
    network.associate([1, 2, 3])
    network.settle()
    network.associate([4, 2], virtual=0x600, keep=True, app_id=AppId(uid(0xA01)))
    network.settle()
    # Node 4 uses the virtual link of nodes 1, 2 and 3.
    session = network.planes[4].sessions[network.link(4, 2)]
    batch = Batch(
        batch_id=b"\x01" * 16, app_id=APP, link_id=LinkId(uid(0x500)), key_bytes=32, key_ids=b"\x02" * 16
    )
    session.seal(write_batch(batch), bytes(32))
    network.gather()
    raw = network.wires[network.link(4, 2), 4]
    assert len(raw) == 1
    network.deliver(network.link(4, 2), 4)
    answers = [decode(one) for one in network.wires[network.link(4, 2), 2]]
    assert [one.reason for one in answers if isinstance(one, Nack)] == [Reason.UNKNOWN_ROUTE]


def test_moving_to_another_path_resends_what_is_under_way_with_the_same_ids() -> None:
    network = Network([(1, 2), (2, 4), (1, 3), (3, 4)])
    network.start()
    network.associate([1, 2, 4])
    before = {frame.content.batch_id for frame in sealed_on(network, network.link(1, 2), 1)}
    network.associate([1, 3, 4], virtual=0x501, keep=True)
    after = {frame.content.batch_id for frame in sealed_on(network, network.link(1, 3), 1)}
    assert before == after
    network.settle()
    assert stored(network) == 16
    assert network.planes[4].snapshot().associations[APP].stored_keys == 16
    keys = network.draw(16)
    assert len(network.fetch(keys, at=4)) == 16


def test_a_batch_that_took_two_paths_is_stored_once_even_after_it_was_fetched() -> None:
    network = Network([(1, 2), (2, 4), (1, 3), (3, 4)])
    network.start()
    network.associate([1, 2, 4])
    late = network.wires[network.link(1, 2), 1].popleft()
    network.associate([1, 3, 4], virtual=0x501, keep=True)
    network.settle()
    keys = network.draw(16)
    network.fetch(keys, at=4)
    network.wires[network.link(1, 2), 1].appendleft(late)
    network.settle()
    assert network.planes[4].snapshot().associations[APP].stored_keys == stored(network)


def test_a_buffer_survives_the_move_and_its_keys_name_the_path_they_came_over() -> None:
    network = Network([(1, 2), (2, 4), (1, 3), (3, 4)])
    network.start()
    network.associate([1, 2, 4])
    network.settle()
    network.associate([1, 3, 4], virtual=0x501)
    assert stored(network) == 16
    keys = network.draw(16)
    network.settle()
    keys += network.draw(1)
    assert [key.link_id for key in keys] == [uid(0x500)] * 16 + [uid(0x501)]


def test_a_destination_that_restarted_makes_the_source_drop_its_buffer() -> None:
    network = started(4)
    old = {key.key_id for key in network.draw(2)}
    network.restart(4)
    network.connect(network.link(3, 4))
    network.settle()
    network.fill()
    network.settle()
    keys = network.draw(4)
    assert len(keys) == 4
    assert not old & {key.key_id for key in keys}
    assert len(network.fetch(keys, at=4)) == 4


def test_a_transit_that_restarted_leaves_the_buffer_alone() -> None:
    network = started(4)
    network.restart(3)
    for link_id in network.links:
        network.connect(link_id)
    network.settle()
    assert network.draw(1) == (), "in doubt until a batch has proved that the destination is the same"
    network.fill()
    network.settle()
    assert stored(network) >= 16
    keys = network.draw(16)
    assert len(network.fetch(keys, at=4)) == 16


def test_a_destination_that_restarted_says_so_even_where_no_key_is_left_to_prove_it() -> None:
    network = started(4)
    network.restart(4)
    for link_id in network.links:
        network.connect(link_id)
    network.settle()
    network.wait(5)  # its fibre stays dark, so no batch gets there
    assert stored(network) == 0
    assert network.draw(1) == (), "what the destination forgot is not supplied"


def test_who_keeps_the_keys_is_asked_and_told_along_the_path_alone() -> None:
    network = started(3)
    path = LinkId(uid(0x500))
    plane = network.planes[2]
    plane.handle(network.link(2, 3), Ask(link_id=path))  # from the far side
    plane.handle(network.link(1, 2), Ask(link_id=LinkId(uid(0x999))))
    plane.handle(network.link(1, 2), Keeper(link_id=path, keeper=bytes(16)))  # from the near side
    assert plane.take_outbox() == []
    network.planes[1].handle(network.link(1, 2), Keeper(link_id=LinkId(uid(0x999)), keeper=bytes(16)))
    assert len(network.draw(1)) == 1
    network.planes[1].handle(network.link(1, 2), Keeper(link_id=path, keeper=bytes(16)))
    assert network.draw(1) == (), "another keeper ends the keys of the one before"


def test_doubt_about_a_broken_path_ends_after_a_while() -> None:
    network = started(4)
    network.disconnect(network.link(1, 2))
    network.connect(network.link(1, 2))
    network.disconnect(network.link(3, 4))
    network.settle()
    assert network.draw(1) == ()
    network.wait(4)
    keys = network.draw(3)
    assert len(network.fetch(keys, at=4)) == 3


def test_a_doubt_from_the_wrong_side_means_nothing() -> None:
    network = started(3)
    network.planes[2].handle(network.link(1, 2), Doubt(link_id=LinkId(uid(0x500))))
    network.planes[1].handle(network.link(1, 2), Doubt(link_id=LinkId(uid(0x999))))
    assert len(network.draw(1)) == 1


def test_relay_messages_before_hello_close_the_connection() -> None:
    network = chain(2)
    link_id = network.link(1, 2)
    network.connect(link_id)
    network.gather()
    ack = Ack(batch_id=bytes(16), link_id=LinkId(uid(1)), keeper=bytes(16))
    network.wires[link_id, 1].appendleft(message(ack, (PadRange(1, 0, 32),))[4:])
    network.deliver(link_id, 1)
    assert network.bad == ["a relay message before Hello"]
    network.connect(link_id)
    network.gather()
    hello = network.wires[link_id, 1][0]
    network.deliver(link_id, 1)
    network.wires[link_id, 1].append(hello)
    network.deliver(link_id, 1)
    assert network.bad[1:] == ["a Hello out of turn"]


def test_what_is_under_way_is_forgotten_at_last() -> None:
    network = started(3)
    network.planes[3].configure(KeyPlan())  # nobody answers
    network.draw(16)
    network.wait(1)
    assert network.planes[2].relay.open_batches > 0
    network.planes[1].configure(KeyPlan())
    network.wait(35)
    assert network.planes[2].relay.open_batches == 0


def test_signs_of_life_change_nothing() -> None:
    network = started(2)
    before = network.levels(network.link(1, 2))
    network.planes[1].handle(network.link(1, 2), Held())
    assert network.levels(network.link(1, 2)) == before


def test_more_batches_than_a_node_may_hold_are_sent_back() -> None:
    network = chain(3, limits=KeyLimits(relay_records=2, keys_per_batch=1))
    network.start()
    network.associate([1, 2, 3])
    network.planes[3].configure(KeyPlan())
    reasons = []
    while any(network.wires.values()):
        key = next(key for key, wire in network.wires.items() if wire)
        frame = decode(network.wires[key][0])
        if isinstance(frame, Nack) and key == (network.link(1, 2), 2):
            reasons.append(frame.reason)
        network.deliver(*key)
    assert Reason.FULL in reasons
    assert network.planes[2].relay.open_batches <= 2
    network.planes[3].configure(network.plans[3])
    network.wait(20)
    assert stored(network) > 12


def test_a_block_that_one_end_lost_costs_itself_and_no_key() -> None:
    network = started(3)
    first, second = network.link(1, 2), network.link(2, 3)
    for link_id, follower in ((first, 2), (second, 3)):
        their = network.planes[follower].sessions[link_id].pool.their
        their.give_up(their.stock().held[:2])  # as if they had never come
    for _ in range(3):
        keys = network.draw(16)
        network.settle()
        assert [key.key_id for key in network.fetch(keys, at=3)] == [key.key_id for key in keys]
    assert len(network.levels(first)) == len(network.levels(second)) == 1, "both ends agree again"


def test_a_batch_too_large_for_a_hop_does_not_hold_up_what_would_fit() -> None:
    network = chain(3, buffer_keys=64)
    slow = network.link(2, 3)
    for link_id in network.links:
        network.connect(link_id)
    network.settle()
    network.fill(network.link(1, 2))
    network.generate(slow, 700)
    network.generate(slow, 700)
    network.settle()
    network.associate([1, 2, 3])
    network.settle()
    request = network.request(14)  # after the first eight the source offers the whole rest of its buffer
    network.settle()
    assert request.keys is not None
    assert network.planes[2].relay.open_batches <= 8, "what was given up waits nowhere"
    assert not any(isinstance(event, RelayTrouble) for event in network.events[1])
