"""Changing the virtual links under an association: new ones first, the two ends one after the other."""

import pytest
from tests.agents.keys.network import APP, Network
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

from keyweave_agents.keys.association import FORMER_LINKS_S
from keyweave_agents.keys.plan import RelayTrouble
from keyweave_agents.keys.relaying.frames import Sealed
from keyweave_agents.keys.relaying.wire import decode

ENDS = [(SOURCE, DESTINATION), (DESTINATION, SOURCE)]
SETS = {
    "one to two": ([0x501], [0x501, 0x502]),
    "two to one": ([0x501, 0x502], [0x502]),
    "one of two": ([0x501, 0x502], [0x501, 0x503]),
    "two to others": ([0x501, 0x502], [0x503, 0x504]),
    "two to three": ([0x501, 0x502], [0x501, 0x502, 0x503]),
    "one to another": ([0x501], [0x503]),
}


def laid(**settings: object) -> Network:
    """Four virtual links stand, none is used."""
    network = three_ways(**settings)
    for path, number in ((UPPER, 0x501), (LOWER, 0x502), (OUTER, 0x503), (UPPER, 0x504)):
        lay(network, path, number)
    return network


@pytest.mark.parametrize("order", ENDS, ids=["source first", "destination first"])
@pytest.mark.parametrize("sets", SETS.values(), ids=SETS.keys())
@pytest.mark.parametrize("under_way", [False, True], ids=["at rest", "under way"])
def test_no_key_is_lost_when_the_links_change(
    sets: tuple[list[int], list[int]], order: tuple[int, int], under_way: bool
) -> None:
    before, after = sets
    network = laid()
    back(network, *before)
    network.settle()
    held = network.draw(8)
    if not under_way:
        network.settle()
    back(network, *after, at=order[:1])
    agree(network, 8)  # the buffer serves between the two writes
    network.settle()
    back(network, *after, at=order[1:])
    network.settle()
    for number in set(before) - set(after):
        remove(network, number)
    network.settle()
    assert ready(network) >= 12
    assert len(network.fetch(held, at=DESTINATION)) == 8
    agree(network, ready(network))
    network.settle()
    keys = network.draw(1)
    assert keys[0].links == tuple(virtual(number) for number in after)
    assert network.bad == []


@pytest.mark.parametrize("order", ENDS, ids=["source first", "destination first"])
def test_what_waits_at_the_destination_is_stored_when_it_hears_of_the_links(order: tuple[int, int]) -> None:
    network = laid()
    back(network, 0x501, 0x502)
    network.settle()
    network.draw(16)
    back(network, 0x501, 0x503, at=order[:1])
    network.settle()
    back(network, 0x501, 0x503, at=order[1:])
    network.settle()  # without any time passing
    assert ready(network) == 16
    agree(network, 16)


def test_a_destination_takes_keys_over_the_links_before_for_a_while_only() -> None:
    network = laid(buffer_keys=4)
    back(network, 0x501)
    network.settle()
    back(network, 0x501, 0x502, at=(DESTINATION,))
    network.draw(4)
    network.settle()
    assert ready(network) == 4, "the source has not heard of the second link yet"
    network.wait(FORMER_LINKS_S + 1, step_s=1)
    network.draw(4)
    network.wait(12)
    assert ready(network) == 0, "whole keys of an association that shall be split"
    (trouble,) = {one.reason for one in network.events[SOURCE] if isinstance(one, RelayTrouble)}
    assert "not backed by these virtual links" in trouble
    assert str(network.node(DESTINATION)) in trouble
    back(network, 0x501, 0x502, at=(SOURCE,))
    network.settle()
    agree(network, 4)


def test_keys_made_before_keep_the_links_they_travelled() -> None:
    network = laid()
    back(network, 0x501)
    network.settle()
    back(network, 0x501, 0x502)
    keys = network.draw(16)
    assert {key.links for key in keys} == {(virtual(0x501),)}
    network.settle()
    assert {key.links for key in network.draw(16)} == {(virtual(0x501), virtual(0x502))}


def test_keys_under_way_whole_are_made_anew_when_they_shall_be_split() -> None:
    network = laid()
    back(network, 0x501)
    lane = network.planes[SOURCE].supply.register.by_id[APP].lanes[256]
    before = set(lane.flights)
    back(network, 0x501, 0x502)
    assert before.isdisjoint(lane.flights)
    network.settle()
    assert ready(network) == 16


# --- one path and its backup --------------------------------------------------------------------


def sealed(network: Network, one: int, other: int) -> int:
    link_id = network.link(one, other)
    wires = (*network.wires[link_id, one], *network.wires[link_id, other])
    return sum(isinstance(decode(raw), Sealed) for raw in wires)


def test_a_link_that_stands_and_is_not_listed_carries_nothing() -> None:
    network = laid()
    idle = [network.link(1, 3), network.link(3, 4), network.link(1, 5), network.link(5, 4)]
    before = [network.levels(link_id) for link_id in idle]
    back(network, 0x501)
    for _ in range(5):
        network.draw(16)
        network.gather()
        assert sealed(network, 1, 3) == sealed(network, 1, 5) == 0
        network.wait(1)
    assert [network.levels(link_id) for link_id in idle] == before
    assert virtual(0x502) in network.planes[SOURCE].snapshot().active_routes, "and it could, at once"


@pytest.mark.parametrize("order", ENDS, ids=["source first", "destination first"])
@pytest.mark.parametrize("cut", [(1, 2), (2, 4)], ids=["at the source", "beyond"])
def test_the_backup_gives_its_first_key_without_any_time_passing(
    cut: tuple[int, int], order: tuple[int, int]
) -> None:
    network = laid()
    back(network, 0x501)
    network.settle()
    network.disconnect(network.link(*cut))
    network.wait(5)
    network.draw(16)
    request = network.request(4)
    network.wait(10)  # attempts over the broken path are seconds apart by now
    assert request.keys is None
    at_s = network.clock.time_s
    for end in order:
        back(network, 0x503, at=(end,))
    network.settle()
    assert request.keys is not None
    assert network.clock.time_s == at_s
    keys = network.planes[SOURCE].serving.collect(request)
    assert {key.links for key in keys} == {(virtual(0x503),)}
    assert len(network.fetch(keys, at=DESTINATION)) == 4
    assert ready(network) >= 12


def test_a_switch_in_the_middle_of_doubt_ends_the_doubt() -> None:
    network = laid()
    back(network, 0x501)
    network.settle()
    network.disconnect(network.link(2, 4))
    network.settle()
    assert network.draw(1) == (), "who is behind the cut may have restarted"
    back(network, 0x503)
    network.settle()  # without any time passing
    agree(network, 8)


def test_a_split_association_takes_its_backup_up_as_fast() -> None:
    network = protected()
    lay(network, OUTER, 0x503)
    network.settle()
    network.disconnect(network.link(3, 4))
    network.wait(5)
    network.draw(16)
    request = network.request(2)
    network.wait(10)
    assert request.keys is None
    back(network, 0x501, 0x503)
    network.settle()
    assert request.keys is not None
    assert stored(network) >= 16
