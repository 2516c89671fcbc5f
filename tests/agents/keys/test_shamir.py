"""Any k of n shares make the whole, fewer tell nothing; k-of-n over three disjoint paths."""

import random
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.keys.network import Network, uid
from tests.agents.keys.protected import (
    DESTINATION,
    LOWER,
    OUTER,
    SOURCE,
    UPPER,
    agree,
    back,
    configure,
    lay,
    ready,
    stored,
    three_ways,
    virtual,
)

from keyweave_agents.keys.plan import KeyPlan, RelayTrouble
from keyweave_agents.keys.relaying.frames import Batch, Nack, Reason, Sealed
from keyweave_agents.keys.relaying.sealed import write_batch
from keyweave_agents.keys.relaying.session import LinkSession
from keyweave_agents.keys.relaying.shamir import inverse, make_shares, multiply, value_at
from keyweave_agents.keys.relaying.split import rejoin, share_of, split
from keyweave_agents.keys.relaying.wire import decode
from keyweave_agents.material import Secret
from keyweave_core.errors import InvalidInput
from keyweave_core.model.ids import NodeId

elements = st.integers(0, 255)


def test_the_field_is_that_of_aes() -> None:
    assert multiply(0x57, 0x83) == 0xC1  # FIPS 197 clause 4.2
    assert multiply(0x57, 0x13) == 0xFE
    assert sorted(inverse(one) for one in range(1, 256)) == list(range(1, 256))
    assert all(multiply(one, inverse(one)) == 1 for one in range(1, 256))
    with pytest.raises(ValueError, match="no inverse"):
        inverse(0)


@given(elements, elements, elements)
def test_multiplication_is_commutative_associative_and_distributive(a: int, b: int, c: int) -> None:
    assert multiply(a, b) == multiply(b, a)
    assert multiply(a, multiply(b, c)) == multiply(multiply(a, b), c)
    assert multiply(a, b ^ c) == multiply(a, b) ^ multiply(a, c)


@given(st.binary(min_size=1, max_size=40), st.integers(2, 8), st.data())
def test_any_threshold_of_shares_makes_the_whole(whole: bytes, number: int, data: st.DataObject) -> None:
    threshold = data.draw(st.integers(1, number))
    source = random.Random(data.draw(st.integers(0, 99)))  # noqa: S311 - a test repeats itself
    places = range(1, number + 1)
    shares = make_shares(Secret(whole), places, threshold, source.randbytes)
    chosen = data.draw(st.permutations(list(places)))[:threshold]
    some = {place: shares[place] for place in chosen}
    assert bytes(value_at(0, some).reveal()) == whole
    for place in places:
        assert value_at(place, some).same_as(shares[place])


def test_fewer_shares_fit_every_whole_equally_often() -> None:
    # All polynomials of degree 2 through one value at 0: what two of their shares are is uniform.
    seen: dict[int, set[tuple[int, int]]] = {}
    for whole in (0, 1, 0x53, 255):
        pairs = set()
        for one in range(0, 256, 5):
            for two in range(0, 256, 5):
                drawn = iter((bytes((one,)), bytes((two,))))
                shares = make_shares(Secret(bytes((whole,))), (1, 2), 3, lambda _, drawn=drawn: next(drawn))
                pairs.add((shares[1].reveal()[0] ^ whole, shares[2].reveal()[0] ^ whole))
        seen[whole] = pairs
        assert len(pairs) == 52 * 52, "every pair of coefficients gives another pair of shares"
    assert len({frozenset(pairs) for pairs in seen.values()}) == 1, "whatever the whole is"


def test_shares_of_nothing_make_nothing() -> None:
    with pytest.raises(ValueError, match="no shares"):
        value_at(0, {})
    links = (virtual(1), virtual(2), virtual(3))
    shares = split(Secret(b"whole"), links, random.Random(1).randbytes, 2)  # noqa: S311 - a test
    with pytest.raises(ValueError, match="too few"):
        rejoin({links[0]: shares[links[0]]}, links, 2)
    for chosen in combinations(links, 2):
        some = {link_id: shares[link_id] for link_id in chosen}
        assert bytes(rejoin(some, links, 2).reveal()) == b"whole"
        assert all(share_of(link_id, some, links, 2).same_as(shares[link_id]) for link_id in links)


# --- over three paths ---------------------------------------------------------------------------


def two_of_three(**settings: object) -> Network:
    network = three_ways(**settings)  # type: ignore[arg-type]  # tests choose
    for number, path in ((0x501, UPPER), (0x502, LOWER), (0x503, OUTER)):
        lay(network, path, number)
    back(network, 0x501, 0x502, 0x503, threshold=2)
    return network


def test_two_of_three_are_enough_and_all_are_at_peace() -> None:
    network = two_of_three()
    network.settle()
    assert ready(network) == stored(network) == 16
    agree(network, 16)
    network.wait(40, step_s=1)
    assert all(plane.relay.open_batches == 0 for plane in network.planes.values())
    assert not [one for events in network.events.values() for one in events if isinstance(one, RelayTrouble)]


@pytest.mark.parametrize("dead", [(1, 2), (2, 4), (3, 4), (1, 5)])
def test_keys_go_on_while_one_path_is_dead(dead: tuple[int, int]) -> None:
    network = two_of_three()
    network.disconnect(network.link(*dead))
    network.wait(2)
    for _ in range(3):
        agree(network, 12)
        network.settle()
        network.wait(1)
    network.disconnect(network.link(*((1, 3) if 3 not in dead else (1, 2))))
    network.wait(4)  # the destination may have restarted: ready keys wait for a proof, at most three seconds
    agree(network, 8)
    network.wait(3)
    before = ready(network)
    network.wait(3)
    assert ready(network) == before, "one share alone is no key"


def test_a_link_that_is_gone_from_the_source_is_done_without() -> None:
    network = two_of_three()
    plan = network.plans[SOURCE]
    routes = tuple(route for route in plan.routes if route.link_id != virtual(0x503))
    configure(network, SOURCE, KeyPlan(routes=routes, associations=plan.associations))
    network.wait(3)
    agree(network, 12)


def test_a_pool_that_gives_nothing_holds_up_one_share_only() -> None:
    network = two_of_three()
    for node, other in ((1, 2), (2, 4)):
        pool = network.planes[node].sessions[network.link(node, other)].pool
        pool.own.give_up(pool.own.stock().held)
    network.wait(2)
    for _ in range(2):
        agree(network, 12)
        network.wait(1)


def test_a_share_that_contradicts_is_not_acknowledged_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    seal = LinkSession.seal

    def lie(self: LinkSession, written: bytes, payload: memoryview | bytes = b"", *more: object) -> object:
        if self.pool.local == NodeId(uid(5)) and len(payload):
            payload = bytes(byte ^ 1 for byte in bytes(payload))
        return seal(self, written, payload, *more)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(LinkSession, "seal", lie)
    network = two_of_three()
    outer = {(network.link(1, 5), 1), (network.link(5, 4), 5)}
    for _ in range(4):
        while honest := [key for key, wire in network.wires.items() if wire and key not in outer]:
            network.deliver(*honest[0])
        network.settle()  # the share of the lying path comes last
        agree(network, 12)
    troubles = [one for one in network.events[DESTINATION] if isinstance(one, RelayTrouble)]
    assert [one.link_id for one in troubles] == [virtual(0x503)]
    assert "contradict" in troubles[0].reason
    assert network.planes[5].relay.open_batches > 0, "it is not acknowledged"
    network.wait(40, step_s=1)
    assert all(plane.relay.open_batches == 0 for plane in network.planes.values())


@pytest.mark.parametrize("threshold", [0, 3])
def test_shares_for_another_threshold_are_refused(threshold: int) -> None:
    network = two_of_three()
    network.settle()
    links = (virtual(0x501), virtual(0x502), virtual(0x503))
    batch = Batch(
        batch_id=b"b" * 16,
        app_id=next(iter(network.planes[DESTINATION].snapshot().associations)),
        link_id=links[0],
        key_bytes=32,
        key_ids=b"k" * 16,
        links=links,
        threshold=threshold,
    )
    if threshold == 3:
        back(network, 0x501, 0x502, 0x503, at=(DESTINATION,), threshold=3)
        network.clock.time_s += 60
        batch.threshold = 2
    link_id = network.link(2, DESTINATION)
    network.planes[2].sessions[link_id].seal(write_batch(batch), bytes(32))
    network.gather()
    while network.wires[link_id, 2]:
        network.deliver(link_id, 2)
    answers = [decode(raw) for raw in network.wires[link_id, DESTINATION]]
    assert [one.reason for one in answers if isinstance(one, Nack)] == [Reason.OTHER_LINKS]
    assert not any(isinstance(one, Sealed) for one in answers)


@pytest.mark.parametrize(
    ("threshold", "complaint"), [(1, "each would be the key"), (4, "4 of 3 shares"), (0, "0 of 3 shares")]
)
def test_thresholds_that_make_no_sense_are_refused(threshold: int, complaint: str) -> None:
    network = three_ways()
    for number, path in ((0x501, UPPER), (0x502, LOWER), (0x503, OUTER)):
        lay(network, path, number)
    with pytest.raises(InvalidInput, match=complaint):
        back(network, 0x501, 0x502, 0x503, threshold=threshold)


def test_the_threshold_changes_and_keys_go_on() -> None:
    network = two_of_three()
    network.settle()
    for threshold in (None, 2, 3, 2):
        back(network, 0x501, 0x502, 0x503, threshold=threshold)
        network.wait(2)
        agree(network, 12)
