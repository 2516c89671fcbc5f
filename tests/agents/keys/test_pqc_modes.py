"""Key modes in whole networks: hybrid keys, fallback and return, and nobody is talked down."""

from dataclasses import replace

import pytest
from tests.agents.keys.network import APP, Network, uid
from tests.agents.keys.pqc_network import PqcNetwork, identities, pqc_settings, same

from keyweave_agents.keys.plan import AssociationRemoved, FallbackBegan, KeyPlan, RelayTrouble
from keyweave_core.errors import InvalidInput
from keyweave_core.model.application import KeyMode, KeyOrigin
from keyweave_core.model.ids import LinkId, SaeId

QKD, HYBRID, PQC = KeyOrigin.QKD, KeyOrigin.HYBRID, KeyOrigin.PQC


def test_keys_flow_on_when_the_quantum_layer_is_gone_and_are_quantum_keys_again_afterwards() -> None:
    network = PqcNetwork(3, KeyMode.PQC_FALLBACK)
    network.begin()
    assert network.both(4) == [QKD] * 4
    assert network.fallback() == []

    network.drain()
    network.wait(3.0)
    assert network.fallback() == ["FallbackBegan"]
    for _ in range(20):
        assert network.both(4) == [PQC] * 4
        network.settle()
    view = network.planes[1].snapshot().associations[APP]
    assert view.origin is PQC
    status = network.planes[1].serving.status(*_pair(network))
    assert status is not None
    assert status.in_fallback

    network.fill()
    network.wait(1.0)
    assert network.both(4) == [QKD] * 4, "quantum keys go before spare ones"
    assert network.fallback() == ["FallbackBegan"], "not before they came for some time"
    network.wait(6.0)
    assert network.fallback() == ["FallbackBegan", "FallbackEnded"]
    assert network.both(8) == [QKD] * 8
    assert network.planes[1].snapshot().associations[APP].origin is QKD


def _pair(network: Network) -> tuple[SaeId, SaeId]:
    plan = network.plans[1].associations[0]
    return plan.server, plan.clients[0]


def test_spare_keys_do_not_serve_after_a_fallback() -> None:
    network = PqcNetwork(2, KeyMode.PQC_FALLBACK)
    network.begin()
    network.drain()
    network.wait(3.0)
    network.fill()
    network.wait(8.0)
    assert network.fallback()[-1] == "FallbackEnded"
    seen = []
    for _ in range(6):
        seen += network.both(4)  # without a refill in between: more than the buffer holds
        network.clock.time_s += 0.01
    assert set(seen) == {QKD}


def test_a_request_of_an_odd_size_is_served_in_a_fallback() -> None:
    network = PqcNetwork(2, KeyMode.PQC_FALLBACK)
    network.begin()
    network.drain()
    network.wait(3.0)
    request = network.request(3, 1024)
    network.settle()
    keys = network.planes[1].serving.collect(request)
    assert [key.origin for key in keys] == [PQC] * 3
    far = network.fetch(keys, at=2)
    assert [bytes(one.key.reveal()) for one in far] == [bytes(one.key.reveal()) for one in keys]
    assert {len(one.key) for one in far} == {128}


def test_no_fallback_while_nobody_wants_keys() -> None:
    network = PqcNetwork(2, KeyMode.PQC_FALLBACK)
    network.begin()
    network.wait(1.0)
    for link_id in network.links:  # whatever the pools still hold is thrown away
        for number in network.links[link_id]:
            network.planes[number].sessions[link_id].pool.own.give_up(tuple(range(1, network._block + 1)))
    network.wait(30.0)
    assert network.fallback() == []
    assert network.both(2) == [QKD] * 2


def test_a_quantum_layer_that_comes_and_goes_does_not_end_a_fallback() -> None:
    network = PqcNetwork(2, KeyMode.PQC_FALLBACK)
    network.begin()
    network.drain()
    network.wait(3.0)
    for _ in range(4):
        network.generate(next(iter(network.links)), 128)  # a key or two
        network.wait(4.0)
        while network.both(4) == [QKD] * 4:
            network.settle()
    assert network.fallback() == ["FallbackBegan"]


def test_hybrid_keys_are_of_both() -> None:
    network = PqcNetwork(3, KeyMode.HYBRID)
    network.begin()
    assert network.both(8) == [HYBRID] * 8
    assert network.planes[1].snapshot().associations[APP].origin is HYBRID


def test_no_hybrid_key_without_quantum_keys() -> None:
    network = PqcNetwork(2, KeyMode.HYBRID)
    network.begin(fill=False)
    network.wait(30.0)
    assert network.both(1) == []
    network.fill()
    network.wait(2.0)
    assert network.both(1) == [HYBRID]


def test_no_hybrid_key_without_a_secret_and_the_operator_hears_of_it() -> None:
    network = PqcNetwork(2, KeyMode.HYBRID)
    network.identities[network.node(2)] = identities(network.node(9))[network.node(9)]  # nobody knows it
    network.planes[2] = network.make(2)
    network.begin()
    network.wait(12.0)
    request = network.request(1)
    assert request.keys is None
    reason = "it does not believe that the letter is of this node"
    assert reason in (network.planes[1].serving.why(request) or "")
    told = [event.reason for event in network.events[1] if isinstance(event, RelayTrouble)]
    assert told
    assert all(text.startswith("letters about ML-KEM: there is no secret") for text in told)


def test_hybrid_batches_wait_for_the_secret_at_the_destination() -> None:
    network = PqcNetwork(2, KeyMode.HYBRID)
    network.begin()
    network.restart(2)
    for link_id in network.links:
        network.connect(link_id)
    network.settle()
    network.fill()
    network.wait(10.0)
    assert network.both(8) == [HYBRID] * 8


@pytest.mark.parametrize("mode", [KeyMode.HYBRID, KeyMode.PQC_FALLBACK])
def test_without_an_identity_a_node_takes_no_such_association(mode: KeyMode) -> None:
    network = Network([(1, 2)])
    with pytest.raises(InvalidInput, match=r"key mode .* needs the table \[keys.pqc\]"):
        network.associate([1, 2], mode=mode)


def test_several_clients_of_one_key_are_refused() -> None:
    network = PqcNetwork(2, KeyMode.HYBRID)
    network.begin()
    plan = network.plans[1]
    two = replace(plan.associations[0], clients=(SaeId("one"), SaeId("two")))
    with pytest.raises(InvalidInput, match="is for one client; 2 are to get"):
        network.planes[1].configure(replace(plan, associations=(two,)))


def _set_mode(network: PqcNetwork, number: int, mode: KeyMode) -> None:
    plan = network.plans[number]
    changed = tuple(replace(one, mode=mode) for one in plan.associations)
    network.plans[number] = replace(plan, associations=changed)
    network.planes[number].configure(network.plans[number])
    network.gather()


@pytest.mark.parametrize("mode", [KeyMode.QKD_ONLY, KeyMode.HYBRID])
def test_a_destination_takes_no_key_of_ml_kem_alone_when_its_mode_forbids_it(mode: KeyMode) -> None:
    network = PqcNetwork(2, KeyMode.PQC_FALLBACK)
    network.begin()
    network.drain()
    network.wait(3.0)
    assert network.both(1) == [PQC]
    network.settle()
    _set_mode(network, 2, mode)
    while network.both(1):
        pass
    stored = network.planes[2].snapshot().associations[APP].stored_keys
    network.wait(20.0)
    assert network.draw(1) == ()
    assert network.planes[2].snapshot().associations[APP].stored_keys == stored


def test_a_hybrid_destination_takes_no_plain_key() -> None:
    network = PqcNetwork(2, KeyMode.QKD_ONLY)
    network.begin()
    _set_mode(network, 2, KeyMode.HYBRID)
    while network.draw(1):
        pass
    network.fill()
    network.wait(10.0)
    assert network.draw(1) == ()
    _set_mode(network, 1, KeyMode.HYBRID)
    network.wait(10.0)
    assert network.both(2) == [HYBRID] * 2


def test_the_mode_of_a_source_binds_what_is_ready() -> None:
    network = PqcNetwork(2, KeyMode.PQC_FALLBACK)
    network.begin()
    network.drain()
    network.wait(3.0)
    _set_mode(network, 1, KeyMode.QKD_ONLY)
    assert network.draw(1) == ()
    assert network.fallback() == ["FallbackBegan", "FallbackEnded"]


def test_keys_are_booked_by_what_they_are_made_of() -> None:
    network = PqcNetwork(2, KeyMode.PQC_FALLBACK)
    link_id = network.begin()
    network.both(2)
    network.drain()
    network.wait(3.0)
    for _ in range(3):
        network.both(2)
    for number in (1, 2):
        network.planes[number].configure(KeyPlan())
    for number in (1, 2):
        (gone,) = [one for one in network.events[number] if isinstance(one, AssociationRemoved)]
        spare = [path for row in gone.statistics for path in row.paths if path.origin is PQC]
        assert {path.link_id for path in spare} == {link_id}
        assert sum(path.delivered_keys for path in spare) == 6


def test_a_restarted_destination_is_agreed_with_anew() -> None:
    network = PqcNetwork(3, KeyMode.PQC_FALLBACK)
    network.begin()
    network.drain()
    network.wait(3.0)
    assert network.both(2) == [PQC] * 2
    network.restart(3)
    for link_id in network.links:
        network.connect(link_id)
    network.wait(12.0)
    for _ in range(10):
        assert network.both(2) == [PQC] * 2
        network.settle()


def test_a_restarted_source_agrees_anew() -> None:
    network = PqcNetwork(3, KeyMode.PQC_FALLBACK)
    network.begin()
    network.drain()
    network.restart(1)
    for link_id in network.links:
        network.connect(link_id)
    network.wait(10.0)
    assert network.both(4) == [PQC] * 4


def test_a_secret_is_replaced_after_so_many_keys() -> None:
    network = PqcNetwork(2, KeyMode.PQC_FALLBACK, pqc=pqc_settings(renew_after_keys=40))
    network.begin()
    network.drain()
    network.wait(3.0)
    names = set()
    for _ in range(60):
        assert network.both(4) == [PQC] * 4
        network.wait(0.5)
        pqc = network.planes[1].supply.modes.pqc
        secret = pqc.secret(APP) if pqc is not None else None
        assert secret is not None
        names.add(secret.name)
    assert len(names) >= 5


def test_why_there_is_a_fallback_is_told() -> None:
    network = PqcNetwork(2, KeyMode.PQC_FALLBACK)
    network.begin()
    network.drain()
    network.wait(3.0)
    (began,) = [event for event in network.events[1] if isinstance(event, FallbackBegan)]
    assert began.app_id == APP
    assert "not enough key in the pool" in began.reason


def test_what_is_stored_and_spare_outlives_a_restart_where_there_is_a_disk() -> None:
    network = PqcNetwork(3, KeyMode.PQC_FALLBACK, durable=True)
    network.begin()
    network.drain()
    network.wait(3.0)
    drawn = network.draw(4)
    assert [key.origin for key in drawn] == [PQC] * 4
    network.settle()
    for number in (1, 3):
        network.restart(number)
    for link_id in network.links:
        network.connect(link_id)
    network.wait(1.0)
    far = network.fetch(drawn, at=3)
    assert same(drawn, far)
    assert [key.origin for key in far] == [PQC] * 4
    assert network.draw(1) == (), "spare keys of the run before do not serve before there is a fallback again"
    network.wait(6.0)
    assert network.fallback() == ["FallbackBegan"] * 2
    for _ in range(10):
        assert network.both(4) == [PQC] * 4
        network.settle()


def test_ready_keys_of_the_run_before_are_bound_by_the_mode_of_today() -> None:
    network = PqcNetwork(2, KeyMode.QKD_ONLY, durable=True)
    network.begin()
    plan = network.plans[1]
    changed = tuple(replace(one, mode=KeyMode.HYBRID) for one in plan.associations)
    network.plans[1] = replace(plan, associations=changed)
    network.restart(1)
    for link_id in network.links:
        network.connect(link_id)
    network.wait(5.0)
    assert network.draw(1) == ()
    _set_mode(network, 2, KeyMode.HYBRID)
    network.fill()
    network.wait(10.0)
    assert network.both(4) == [HYBRID] * 4


def test_a_split_association_falls_back_and_is_booked_under_its_first_link() -> None:
    network = PqcNetwork(2, KeyMode.PQC_FALLBACK)
    network.begin()
    links = (LinkId(uid(0x500)), LinkId(uid(0x501)))
    for number, plan in network.plans.items():
        routes = (plan.routes[0], replace(plan.routes[0], link_id=links[1]))
        whole = tuple(replace(one, links=links) for one in plan.associations)
        network.plans[number] = replace(plan, routes=routes, associations=whole)
        network.planes[number].configure(network.plans[number])
    network.settle()
    network.drain()
    network.wait(3.0)
    keys = network.draw(4)
    assert {(key.origin, key.links, key.link_id) for key in keys} == {(PQC, links, links[0])}
    assert same(keys, network.fetch(keys, at=2))


def test_keys_of_several_links_are_put_together_and_then_combined() -> None:
    network = PqcNetwork(2, KeyMode.HYBRID)
    network.begin()
    links = (LinkId(uid(0x500)), LinkId(uid(0x501)))
    for number, plan in network.plans.items():
        routes = (plan.routes[0], replace(plan.routes[0], link_id=links[1]))
        whole = tuple(replace(one, links=links) for one in plan.associations)
        network.plans[number] = replace(plan, routes=routes, associations=whole)
        network.planes[number].configure(network.plans[number])
    network.settle()
    for _ in range(12):
        assert network.both(4) == [HYBRID] * 4
        network.settle()
        network.fill()


def test_keys_drawn_from_several_restored_batches_do_not_come_back() -> None:
    network = PqcNetwork(2, KeyMode.QKD_ONLY, durable=True)
    network.begin()  # leaves two batches of eight
    seen: list[str] = []
    for _ in range(4):
        network.restart(1)
        for link_id in network.links:
            network.connect(link_id)
        network.settle()
        seen += [key.key_id for key in network.draw(3)]
        network.settle()
    assert len(seen) == 12
    assert len(set(seen)) == 12
