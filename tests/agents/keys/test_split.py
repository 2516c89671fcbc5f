"""Keys as shares over several virtual links: nobody on one path knows them; they come whole or not at all."""

import random
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.agents.keys.network import APP, MASTER, SLAVE, KeyLimits, Network, chain, uid
from tests.agents.keys.protected import (
    DESTINATION,
    LOWER,
    OUTER,
    SOURCE,
    UPPER,
    agree,
    back,
    lay,
    protected,
    ready,
    remove,
    stored,
    three_ways,
    virtual,
)

from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, RelayRestored, RelayTrouble
from keyweave_agents.keys.relaying.frames import Batch, Nack, Reason, Sealed
from keyweave_agents.keys.relaying.pad import Raw
from keyweave_agents.keys.relaying.sealed import write_batch
from keyweave_agents.keys.relaying.session import LinkSession
from keyweave_agents.keys.relaying.split import combine, split
from keyweave_agents.keys.relaying.wire import decode
from keyweave_agents.material import Secret
from keyweave_core.errors import InvalidInput
from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import AppId, LinkId

LINKS = tuple(virtual(0x501 + index) for index in range(8))


# --- the arithmetic -----------------------------------------------------------------------------


@given(st.binary(min_size=1, max_size=64), st.integers(1, 8), st.randoms(use_true_random=False))
def test_law_the_shares_together_are_the_whole(content: bytes, number: int, source: random.Random) -> None:
    shares = split(Secret(content), LINKS[:number], source.randbytes)
    assert tuple(shares) == LINKS[:number]
    assert combine(shares.values()).same_as(Secret(content))


@given(
    st.binary(min_size=4, max_size=4), st.binary(min_size=4, max_size=4), st.integers(2, 8), st.integers(0, 7)
)
def test_law_all_shares_but_one_tell_nothing(one: bytes, other: bytes, number: int, lacking: int) -> None:
    """For every other whole there is randomness, as likely, that gives the very same shares but the one."""
    lacking %= number
    seen = [bytes([index]) * 4 for index in range(1, number)]
    shares = split(Secret(one), LINKS[:number], _in_turn(seen))
    known = {link: share for link, share in shares.items() if link != LINKS[lacking]}
    # Of the other whole: the same random bytes for what is known, and what completes it where it is not.
    missing = combine([Secret(other), *known.values()])
    drawn = [bytes((known.get(link) or missing).reveal()) for link in LINKS[: number - 1]]
    again = split(Secret(other), LINKS[:number], _in_turn(drawn))
    assert all(again[link].same_as(share) for link, share in known.items())


def _in_turn(values: list[bytes]) -> Callable[[int], bytes]:
    """A source of known bytes."""
    left = iter(values)
    return lambda _size: next(left)


def test_shares_are_of_one_length_and_at_least_one() -> None:
    with pytest.raises(ValueError, match="cannot xor 1 with 2 bytes"):
        combine([Secret(b"1"), Secret(b"22")])
    with pytest.raises(ValueError, match="no shares"):
        combine([])


# --- from end to end ----------------------------------------------------------------------------


@pytest.mark.parametrize("paths", [[UPPER, LOWER], [UPPER, LOWER, OUTER], [[1, 2, 4], [1, 2, 4]]])
def test_keys_arrive_over_several_links_and_name_them(paths: list[list[int]]) -> None:
    network = three_ways()
    numbers = [0x501 + index for index in range(len(paths))]
    for path, number in zip(paths, numbers, strict=True):
        lay(network, path, number)
    back(network, *numbers)
    network.settle()
    assert ready(network) == stored(network) == 16
    keys = network.draw(1)
    assert keys[0].links == tuple(virtual(number) for number in numbers)
    assert keys[0].link_id == virtual(0x501)
    assert network.fetch(keys, at=DESTINATION)[0].links == keys[0].links
    agree(network, 15)
    network.settle()
    assert all(plane.relay.open_batches == 0 for plane in network.planes.values())


def test_the_two_ends_may_name_the_links_in_any_order() -> None:
    network = three_ways()
    lay(network, UPPER, 0x501)
    lay(network, LOWER, 0x502)
    back(network, 0x502, 0x501, at=(SOURCE,))
    back(network, 0x501, 0x502, at=(DESTINATION,))
    network.settle()
    agree(network, 16)


def test_no_node_between_ever_has_a_key_and_all_paths_together_do(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, dict[bytes, bytes]] = defaultdict(dict)
    seal = LinkSession.seal

    def listen(
        self: LinkSession, written: bytes, payload: Raw = b"", method: RelayMethod = RelayMethod.OTP
    ) -> Raw:
        if len(payload):
            seen[self.pool.local][written[5:21]] = bytes(payload)
        return seal(self, written, payload, method)

    monkeypatch.setattr(LinkSession, "seal", listen)
    network = protected()
    network.settle()
    keys = [bytes(key.key.reveal()) for key in network.draw(16)]
    upper, lower = seen[network.node(2)], seen[network.node(3)]
    assert upper.keys() == lower.keys()
    assert not any(key in share for share in (*upper.values(), *lower.values()) for key in keys)
    whole = b"".join(
        bytes(combine([Secret(upper[batch_id]), Secret(lower[batch_id])]).reveal()) for batch_id in upper
    )
    assert all(key in whole for key in keys)


def test_usage_is_booked_once_under_the_first_link_at_both_ends() -> None:
    network = protected(statistics_period_s=60.0)
    network.settle()
    network.fetch(network.draw(3), at=DESTINATION)
    network.wait(61, step_s=1)
    for node in (SOURCE, DESTINATION):
        (period,) = network.planes[node].snapshot().associations[APP].statistics
        assert period.consumed_bits == 768
        assert [(one.link_id, one.delivered_bits, one.delivered_keys) for one in period.paths] == [
            (virtual(0x501), 768, 3)
        ]


def test_a_split_key_costs_as_much_on_every_path_as_a_whole_one_on_its_own() -> None:
    network = three_ways(buffer_keys=8)
    before = {link_id: network.levels(link_id) for link_id in network.links}
    lay(network, UPPER, 0x501)
    lay(network, LOWER, 0x502)
    back(network, 0x501, 0x502)
    network.settle()
    for one, other in ((1, 2), (2, 4), (1, 3), (3, 4)):
        (level,), (after,) = before[network.link(one, other)], network.levels(network.link(one, other))
        assert level - after == 8 * (8 * 32 + 32 + 32)


# --- what goes wrong ----------------------------------------------------------------------------


def through(network: Network, path: list[int]) -> None:
    """Let everything through that goes forward on one path, and nothing else."""
    for one, other in pairwise(path):
        while network.wires[network.link(one, other), one]:
            network.deliver(network.link(one, other), one)


def troubles(network: Network) -> list[LinkId]:
    return [event.link_id for event in network.events[SOURCE] if isinstance(event, RelayTrouble)]


def test_with_one_share_nothing_is_stored_nor_supplied() -> None:
    network = protected()
    through(network, UPPER)
    assert (ready(network), stored(network)) == (0, 0)
    relay = network.planes[DESTINATION].relay
    assert relay.open_batches == 2
    assert not relay._under_way.stuck, "no new pool bits help it, so none make it try"
    through(network, UPPER)
    through(network, LOWER)
    assert stored(network) == 16
    assert ready(network) == 0, "no acknowledgement has come back yet"
    network.settle()
    agree(network, 16)


@pytest.mark.parametrize("order", [(UPPER, LOWER), (LOWER, UPPER)])
def test_shares_come_in_any_order_and_twice(order: tuple[list[int], ...]) -> None:
    network = protected()
    for path in order:
        first = network.link(path[0], path[1])
        for position in range(len(network.wires[first, SOURCE])):
            network.deliver(first, SOURCE, position, copy=True)
        through(network, path)
    network.settle()
    assert ready(network) == stored(network) == 16
    assert network.bad == []


def test_one_acknowledgement_of_two_supplies_nothing() -> None:
    network = protected()
    through(network, UPPER)
    through(network, LOWER)
    for link_id, sender in ((network.link(2, 4), 4), (network.link(1, 2), 2)):
        while network.wires[link_id, sender]:
            network.deliver(link_id, sender)
    assert stored(network) == 16
    assert ready(network) == 0
    network.settle()
    assert ready(network) == 16


def test_a_lost_share_is_sent_again_alone() -> None:
    network = protected()
    lost = network.wires[network.link(1, 3), SOURCE]
    assert lost
    lost.clear()
    network.settle()
    assert (ready(network), stored(network)) == (0, 0)
    network.wait(1.5)
    agree(network, 16)
    network.wait(10)
    assert troubles(network) == []


def test_a_broken_path_is_named_by_its_link_and_the_buffer_serves_meanwhile() -> None:
    network = protected()
    network.settle()
    network.disconnect(network.link(3, 4))
    network.wait(4)  # doubt about what is behind the cut is over
    agree(network, 12)
    network.wait(20)
    assert set(troubles(network)) == {virtual(0x502)}
    assert ready(network) == 4, "nothing goes out over the path that is left alone"
    network.draw(4)
    request = network.request(1)
    network.wait(2)
    why = network.planes[SOURCE].serving.why(request)
    assert why is not None
    assert "no connection to the key manager of the next hop" in why
    network.connect(network.link(3, 4))
    network.wait(5)
    assert request.keys is not None
    assert network.events[SOURCE][-1] == RelayRestored(link_id=virtual(0x502))


def test_a_path_that_breaks_under_a_batch_gives_way_to_other_links_at_once() -> None:
    network = protected()
    lay(network, OUTER, 0x503)
    through(network, UPPER)
    network.disconnect(network.link(3, 4))
    network.settle()
    assert (ready(network), stored(network)) == (0, 0)
    back(network, 0x501, 0x503)
    network.settle()  # no time passes
    assert ready(network) == stored(network) == 16
    agree(network, 16)


def test_shares_that_stay_alone_are_wiped_after_a_while() -> None:
    network = protected()
    network.disconnect(network.link(3, 4))
    network.settle()
    relay = network.planes[DESTINATION].relay
    alone = [record.payload for record in relay._under_way.open.values() if record.payload is not None]
    assert alone
    back(network, 0x501, 0x502, at=(DESTINATION,))
    network.planes[SOURCE].configure(KeyPlan())
    network.wait(35, step_s=1)
    assert relay.open_batches == 0
    assert all(not any(share.reveal()) for share in alone)
    assert stored(network) == 0


def test_the_source_wipes_what_it_gives_up() -> None:
    network = protected()
    (lane,) = network.planes[SOURCE].supply.register.by_id[APP].lanes.values()
    flights = list(lane.flights.values())
    shares = [share for flight in flights for share in flight.shares.values()]
    assert len(shares) == 4
    back(network, 0x501, at=(SOURCE,))
    assert not any(any(secret.reveal()) for secret in (*shares, *(one.payload for one in flights)))


def test_a_destination_that_restarts_between_two_acknowledgements_makes_the_source_begin_anew() -> None:
    network = protected()
    through(network, UPPER)
    through(network, LOWER)
    for link_id, sender in ((network.link(2, 4), 4), (network.link(1, 2), 2)):
        while network.wires[link_id, sender]:
            network.deliver(link_id, sender)  # over the upper path it is acknowledged
    network.restart(DESTINATION)
    for link_id in network.links:
        network.connect(link_id)
    network.settle()
    network.fill()
    network.wait(6)
    assert ready(network) == stored(network) >= 12
    agree(network, 12)


def test_a_pool_that_gives_little_makes_small_batches_on_all_paths() -> None:
    network = three_ways(buffer_keys=64)
    lay(network, UPPER, 0x501)
    lay(network, LOWER, 0x502)
    pool = network.planes[3].sessions[network.link(3, 4)].pool
    while pool.own.shared_bytes > 700:
        pool.own.give_up(pool.own.stock().held[:1])
    back(network, 0x501, 0x502)
    network.wait(3)
    assert 0 < ready(network) < 22
    agree(network, ready(network))


def test_links_over_one_fibre_share_what_its_pool_gives() -> None:
    network = chain(2, buffer_keys=64)
    link_id = network.link(1, 2)
    network.connect(link_id)
    network.settle()
    for number in (0x501, 0x502):
        lay(network, [1, 2], number)
    for node in (1, 2):
        association = AssociationPlan(
            app_id=APP,
            server=MASTER,
            clients=(SLAVE,),
            source=node == 1,
            links=(virtual(0x501), virtual(0x502)),
            remote_node=network.node(3 - node),
        )
        network.plans[node] = KeyPlan(routes=network.plans[node].routes, associations=(association,))
        network.planes[node].configure(network.plans[node])
    for size in (1400, 1400):
        network.generate(link_id, size)
    network.settle()
    assert ready(network) >= 8
    assert network.planes[1].relay.open_batches == 0, "nothing was begun that the pool cannot give"


# --- who may hand in what -----------------------------------------------------------------------


def hand_in(network: Network, node: int, batch: Batch, payload: bytes) -> list[Reason]:
    """What the destination answers when a node before it says that these keys came."""
    link_id = network.link(node, DESTINATION)
    network.planes[node].sessions[link_id].seal(write_batch(batch), payload)
    network.gather()
    while network.wires[link_id, node]:
        network.deliver(link_id, node)
    answers = [decode(raw) for raw in network.wires[link_id, DESTINATION]]
    network.wires[link_id, DESTINATION].clear()
    assert not any(isinstance(one, Sealed) for one in answers), "nothing is acknowledged"
    return [one.reason for one in answers if isinstance(one, Nack)]


def share(number: int = 0x501, **other: object) -> Batch:
    values: dict[str, object] = {
        "batch_id": b"\x07" * 16,
        "app_id": APP,
        "link_id": virtual(number),
        "key_bytes": 32,
        "key_ids": b"\x08" * 16,
        "links": (virtual(0x501), virtual(0x502)),
    }
    return Batch(**(values | other))  # type: ignore[arg-type]  # tests choose


@pytest.mark.parametrize(
    ("batch", "reason"),
    [
        (share(app_id=AppId(uid(0xBAD))), Reason.UNKNOWN_APPLICATION),
        (share(links=(virtual(0x501), virtual(0x503))), Reason.OTHER_LINKS),
        (share(links=(virtual(0x501), virtual(0x502), virtual(0x503))), Reason.OTHER_LINKS),
        (share(links=()), Reason.OTHER_LINKS),
        (share(), Reason.SHARES_MISSING),
    ],
    ids=["unknown association", "other link", "one too many", "whole", "alone"],
)
def test_what_does_not_belong_to_the_association_is_not_stored(batch: Batch, reason: Reason) -> None:
    network = protected()
    network.settle()
    assert hand_in(network, 2, batch, bytes(32)) == [reason]
    assert stored(network) == 16


@pytest.mark.parametrize(
    "other",
    [{"key_ids": b"\x09" * 16}, {"key_ids": b"\x08" * 32}, {"key_bytes": 16}],
    ids=["other keys", "more keys", "shorter keys"],
)
def test_shares_that_contradict_each_other_are_never_combined(other: dict[str, object]) -> None:
    network = protected()
    network.settle()
    assert hand_in(network, 2, share(0x501), bytes(32)) == [Reason.SHARES_MISSING]
    second = share(0x502, **other)
    assert hand_in(network, 3, second, bytes(second.payload_bytes)) == [Reason.CONTRADICTION]
    assert stored(network) == 16


def test_the_first_share_of_a_link_counts_whatever_comes_after_it() -> None:
    network = protected()
    network.settle()
    hand_in(network, 2, share(0x501), b"\x01" * 32)
    hand_in(network, 2, share(0x501, key_ids=b"\x09" * 16), b"\x02" * 32)
    link_id = network.link(3, DESTINATION)
    network.planes[3].sessions[link_id].seal(write_batch(share(0x502)), b"\x10" * 32)
    network.gather()
    network.settle()
    (key,) = network.planes[DESTINATION].serving.fetch(
        SLAVE, MASTER, ("08080808-0808-0808-0808-080808080808",)
    )
    assert bytes(key.key.reveal()) == b"\x11" * 32


def test_shares_over_a_link_that_does_not_end_here_do_not_count() -> None:
    network = protected()
    network.settle()
    remove(network, 0x502)
    lay(network, [3, 4, 5], 0x502)
    assert hand_in(network, 2, share(0x501), bytes(32)) == [Reason.SHARES_MISSING]
    link_id = network.link(3, DESTINATION)
    network.planes[3].sessions[link_id].seal(write_batch(share(0x502)), bytes(32))
    network.settle()
    assert stored(network) == 16


def test_shares_for_which_there_is_no_room_yet_are_stored_when_there_is() -> None:
    network = protected(limits=KeyLimits(stored_keys=20))
    network.settle()
    keys = network.draw(16)
    network.wait(2)
    assert stored(network) == 16
    network.fetch(keys, at=DESTINATION)
    network.wait(10)
    agree(network, 16)


def test_a_plan_with_too_many_links_or_one_twice_is_refused() -> None:
    network = three_ways()
    for numbers, complaint in (([0x501] * 2, "backed twice"), (range(0x501, 0x50A), "at most 8")):
        with pytest.raises(InvalidInput, match=complaint):
            back(network, *numbers, at=(SOURCE,))
