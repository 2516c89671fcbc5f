"""A pool of which somebody may have overheard the last blocks: they go at both ends, and nothing is spent."""

import pytest
from tests.agents.keys.network import APP, Network

from keyweave_agents.keys.store import LinkPool
from keyweave_agents.material import Secret
from keyweave_core.errors import Exhausted
from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import LinkId, NodeId

LINK, A, B = LinkId("l"), NodeId("a"), NodeId("b")


def pair() -> tuple[LinkPool, LinkPool]:
    """Both ends of a link hold blocks 1..8 of 100 bytes, owned in turn, and know that the other does."""
    ends = LinkPool(LINK, A, B, 1_000_000), LinkPool(LINK, B, A, 1_000_000)
    for block_id in range(1, 9):
        for pool in ends:
            assert pool.deposit(block_id, A if block_id % 2 else B, Secret(bytes([block_id]) * 100), 0.0)
    for pool in ends:
        pool.learn(range(1, 9))
    return ends


def test_blocks_from_there_on_go_and_what_was_spent_of_them_is_counted() -> None:
    near, far = pair()
    ranges, _ = near.spend(250)  # blocks 1, 3 and half of 5
    assert far.claim(ranges) is not None
    assert near.distrust(3) == (8 * 450, 8 * 150)
    assert far.distrust(3) == (8 * 450, 8 * 150)
    assert near.stored_bits == far.stored_bits == 8 * 100  # block 2, not yet spent


def test_in_quarantine_nothing_is_taken_in_made_or_spent() -> None:
    near, _ = pair()
    near.distrust(9)
    assert near.next_owner() is None
    assert not near.deposit(9, A, Secret(bytes(100)), 0.0)
    with pytest.raises(Exhausted, match="quarantine"):
        near.spend(10)
    near.trust()
    assert near.deposit(9, A, Secret(bytes(100)), 0.0)
    ranges, _ = near.spend(10)
    assert ranges[0].block_id == 1


def test_a_block_that_one_end_alone_destroyed_is_used_by_neither() -> None:
    near, far = pair()
    far.distrust(5)
    ranges, _ = near.spend(250)  # the owner does not know yet
    assert far.claim(ranges) is None
    assert set(far.their.missing(item.block_id for item in ranges)) == {5}
    assert near.distrust(5) == (8 * 350, 8 * 50)


def test_more_may_turn_out_to_be_suspect() -> None:
    near, _ = pair()
    assert near.distrust(7) == (8 * 200, 0)
    assert near.distrust(5) == (8 * 200, 0)
    assert near.stored_bits == 8 * 400


def chain(method: RelayMethod = RelayMethod.OTP, *, durable: bool = False) -> Network:
    """Three nodes in a row with full pools, and keys from the first to the last."""
    network = Network([(1, 2), (2, 3)], durable=durable, buffer_keys=4)
    for link_id in network.links:
        network.connect(link_id)
    network.settle()
    network.fill()
    network.settle()
    network.associate([1, 2, 3], method=method)
    network.settle()
    return network


def distrust(network: Network, near: int, far: int, since: int = 10**6) -> None:
    for number in (near, far):
        network.planes[number].distrust(network.link(near, far), since)
    network.settle()


@pytest.mark.parametrize("method", RelayMethod)
def test_no_key_goes_over_a_link_in_quarantine_and_keys_go_again_afterwards(method: RelayMethod) -> None:
    network = chain(method)
    assert network.draw(2)
    network.settle()
    distrust(network, 2, 3)
    taken = {
        number: plane.sessions[network.link(2, 3)].pool.taken_bytes
        for number, plane in network.planes.items()
        if number != 1
    }
    while network.draw(1):  # what is ready serves: it was made before
        network.settle()
    for _ in range(8):
        network.wait(1.0)
        assert not network.draw(1)
    assert taken == {
        number: network.planes[number].sessions[network.link(2, 3)].pool.taken_bytes for number in (2, 3)
    }
    for number in (2, 3):
        network.planes[number].trust(network.link(2, 3))
    network.wait(10.0)
    keys = network.draw(1)
    assert network.fetch(keys, at=3)
    assert network.planes[1].snapshot().associations[APP].stored_keys > 0


@pytest.mark.parametrize("method", RelayMethod)
def test_all_of_the_pool_may_be_suspect_and_new_key_serves(method: RelayMethod) -> None:
    network = chain(method)
    distrust(network, 1, 2, since=0)
    assert network.planes[1].sessions[network.link(1, 2)].pool.stored_bits == 0
    for number in (1, 2):
        network.planes[number].trust(network.link(1, 2))
    network.fill()
    network.settle()
    network.wait(5.0)
    assert network.fetch(network.draw(1), at=3)


def test_what_is_destroyed_does_not_come_back_from_disk() -> None:
    network = chain(durable=True)
    link_id = network.link(1, 2)
    network.commit(1, lazy=True)
    before = network.planes[1].sessions[link_id].pool.stored_bits
    distrust(network, 1, 2, since=5)
    left = network.planes[1].sessions[link_id].pool.stored_bits
    assert left < before
    network.restart(1)  # what nobody waited for is lost; this was waited for
    pool = network.planes[1].sessions[link_id].pool
    held = (*pool.own.stock().held, *pool.their.stock().held)
    assert all(block_id < 5 for block_id in held)
    assert pool.stored_bits <= left


def test_one_end_alone_that_distrusts_is_enough() -> None:
    network = chain()
    network.planes[2].distrust(network.link(1, 2), 0)
    while network.draw(1):
        network.settle()
    network.wait(3.0)
    assert not network.draw(1)  # the other end's bits have no counterpart any more
