"""Supplying keys: who gets which, how often, and what is answered when there are none."""

import pytest
from tests.agents.keys.network import APP, MASTER, SLAVE, KeyLimits, Network, chain, uid

from keyweave_agents.keys.failures import KeysNotFound, NotEntitled, RateExceeded
from keyweave_agents.keys.lanes import Request
from keyweave_agents.keys.plan import (
    AssociationExpired,
    AssociationPlan,
    AssociationRemoved,
    AssociationWanted,
    KeyPlan,
    PoolEmptied,
    PoolFilled,
    PoolLow,
    PoolRecovered,
    Route,
)
from keyweave_core.errors import Exhausted, InvalidInput, Refused
from keyweave_core.model.application import AppQos, AppStatus
from keyweave_core.model.ids import AppId, LinkId, SaeId

THIRD = SaeId("sae-third")


def started(length: int = 3, *, qos: AppQos | None = None, **settings: object) -> Network:
    network = chain(length, **settings)
    network.start()
    network.associate(list(range(1, length + 1)), qos=qos)
    network.settle()
    return network


def wanted(network: Network) -> list[AssociationWanted]:
    return [event for event in network.events[1] if isinstance(event, AssociationWanted)]


# --- the slave's side ---------------------------------------------------------------------------


def test_a_key_is_fetched_once() -> None:
    network = started()
    keys = network.draw(2)
    assert len(network.fetch(keys, at=3)) == 2
    with pytest.raises(KeysNotFound) as caught:
        network.fetch(keys, at=3)
    assert caught.value.key_ids == tuple(key.key_id for key in keys)


def test_one_missing_id_and_nothing_is_consumed() -> None:
    network = started()
    serving, keys = network.planes[3].serving, network.draw(2)
    ids = tuple(key.key_id for key in keys)
    with pytest.raises(KeysNotFound) as caught:
        serving.fetch(SLAVE, MASTER, (ids[0], uid(1), ids[1]))
    assert caught.value.key_ids == (uid(1),)
    with pytest.raises(KeysNotFound):
        serving.fetch(SLAVE, MASTER, (ids[0], ids[0]))
    assert len(serving.fetch(SLAVE, MASTER, ids)) == 2


def test_only_the_named_slave_gets_keys_and_only_of_the_named_master() -> None:
    network = started()
    serving, keys = network.planes[3].serving, network.draw(1)
    ids = (keys[0].key_id,)
    for caller, master in ((THIRD, MASTER), (MASTER, MASTER), (SLAVE, THIRD)):
        with pytest.raises(NotEntitled):
            serving.fetch(caller, master, ids)
        with pytest.raises(NotEntitled):
            serving.fetch(caller, master, (uid(1), *ids))
    assert len(serving.fetch(SLAVE, MASTER, ids)) == 1


def test_each_of_several_clients_gets_its_copy_once() -> None:
    network = chain(2)
    network.start()
    for number in (1, 2):
        network.planes[number].configure(
            KeyPlan(
                routes=(
                    Route(
                        link_id=LinkId(uid(0x500)),
                        prev_hop=None if number == 1 else network.node(1),
                        next_hop=network.node(2) if number == 1 else None,
                    ),
                ),
                associations=(
                    AssociationPlan(
                        app_id=APP,
                        server=MASTER,
                        clients=(SLAVE, THIRD),
                        source=number == 1,
                        links=(LinkId(uid(0x500)),),
                        remote_node=network.node(3 - number),
                    ),
                ),
            )
        )
    network.settle()
    request = network.request(also=(THIRD,))
    assert request.keys is not None
    keys = network.planes[1].serving.collect(request)
    ids = (keys[0].key_id,)
    serving = network.planes[2].serving
    for client in (SLAVE, THIRD):
        assert serving.fetch(client, MASTER, ids)[0].key.same_as(keys[0].key)
        with pytest.raises(KeysNotFound):
            serving.fetch(client, MASTER, ids)


def test_keys_stay_fetchable_after_the_association_is_removed() -> None:
    network = started()
    keys = network.draw(2)
    for plane in network.planes.values():
        plane.configure(KeyPlan())
    network.settle()
    assert network.planes[1].serving.status(MASTER, SLAVE) is None
    assert len(network.fetch(keys, at=3)) == 2


def test_a_full_store_takes_no_more_and_takes_again_when_keys_were_fetched() -> None:
    network = started(limits=KeyLimits(stored_keys=20))
    keys = network.draw(16)
    network.wait(2)
    assert network.planes[3].snapshot().associations[APP].stored_keys == 16
    network.fetch(keys, at=3)
    network.wait(10)
    more = network.draw(8)
    assert len(network.fetch(more, at=3)) == 8


# --- time to live -------------------------------------------------------------------------------


def test_unused_keys_are_wiped_first_at_the_source_then_at_the_destination() -> None:
    network = started(qos=AppQos(ttl_s=100))
    keys = network.draw(4)
    held = network.planes[1].serving
    network.settle()
    network.wait(51, step_s=3)
    fresh = network.draw(16)
    assert not {key.key_id for key in keys} & {key.key_id for key in fresh}
    assert len(network.fetch(keys[:1], at=3)) == 1, "half of the ttl is left to the slave"
    network.wait(54, step_s=3)
    with pytest.raises(KeysNotFound):
        network.fetch(keys[1:], at=3)
    assert held.status(MASTER, SLAVE) is not None


# --- requests -----------------------------------------------------------------------------------


def test_a_request_without_association_asks_the_controller_and_again_while_it_waits() -> None:
    network = chain(2)
    network.start()
    first, second = network.request(), network.request()
    assert wanted(network) == [AssociationWanted(server=MASTER, clients=(SLAVE,), qos=AppQos())]
    network.wait(4.5)
    assert len(wanted(network)) == 3
    network.associate([1, 2])
    network.settle()
    assert first.keys is not None
    assert second.keys is not None
    network.wait(4)
    assert len(wanted(network)) == 3


def test_an_abandoned_request_asks_no_more() -> None:
    network = chain(2)
    network.start()
    request = network.request()
    network.planes[1].serving.abandon(request)
    network.wait(6)
    assert len(wanted(network)) == 1


def test_a_refusal_ends_the_requests_of_that_pair_alone() -> None:
    network = chain(2)
    network.start()
    request = network.request()
    other = Request(server=MASTER, client=THIRD, number=1, size_bits=256, qos=AppQos(), priority=0)
    network.planes[1].serving.request(other)
    network.planes[1].serving.refuse(MASTER, (SLAVE,), ("link 7 lacks 300 bit/s", "no second path"))
    assert isinstance(request.error, Refused)
    assert request.error.reasons == ("link 7 lacks 300 bit/s", "no second path")
    assert not other.ended


def test_a_refusal_also_ends_requests_at_an_association_that_is_not_active() -> None:
    network = chain(2)
    network.start()
    plan = AssociationPlan(
        app_id=APP, server=MASTER, clients=(SLAVE,), source=True, links=(), remote_node=None
    )
    network.planes[1].configure(KeyPlan(associations=(plan,)))
    request = network.request()
    assert not request.ended
    assert network.planes[1].serving.why(request) == "the association is not active"
    network.planes[1].serving.refuse(MASTER, (SLAVE,), ("no path",))
    assert isinstance(request.error, Refused)


def test_the_slave_is_not_the_master() -> None:
    network = started()
    request = Request(server=SLAVE, client=MASTER, number=1, size_bits=256, qos=AppQos(), priority=0)
    network.planes[3].serving.request(request)
    assert not request.ended, "the other way round is another association"
    assert network.events[3][-1] == AssociationWanted(server=SLAVE, clients=(MASTER,), qos=AppQos())


def test_all_or_nothing_and_in_order() -> None:
    network = started(buffer_keys=4)
    large, small = network.request(100), network.request(1)
    assert large.keys is None
    assert small.keys is None, "nobody overtakes"
    network.settle()
    assert large.keys is not None
    assert len(large.keys) == 100
    assert small.keys is not None


def test_another_size_is_made_on_demand_and_requests_share_a_batch() -> None:
    network = started()
    requests = [network.request(2, 1024) for _ in range(3)]
    network.settle()
    assert all(request.keys is not None for request in requests)
    keys = network.planes[1].serving.collect(requests[0])
    assert all(key.key.bits == 1024 for key in keys)
    assert len(network.fetch(keys, at=3)) == 2
    (level,) = network.levels(network.link(1, 2))
    assert level < 400_000
    for request in requests[1:]:
        network.planes[1].serving.collect(request)
    network.tick()
    views = network.planes[1].snapshot().associations[APP]
    assert views.stored_keys == 16, "keys of the default size"


def test_keys_of_a_caller_that_went_away_serve_the_next() -> None:
    network = started()
    request = network.request(2)
    assert request.keys is not None
    ids = {key.supplied.key_id for key in request.keys}
    network.planes[1].serving.abandon(request)
    assert {key.key_id for key in network.draw(2)} == ids


def test_the_rate_of_an_association_is_bounded_and_the_limit_is_named() -> None:
    network = started(qos=AppQos(max_bandwidth_bps=1024))  # burst: the buffer, 16 * 256 bit
    assert len(network.draw(16)) == 16
    network.settle()
    with pytest.raises(RateExceeded, match="max_bandwidth of this association: 1024 bit/s"):
        network.request(1)
    network.wait(1)
    assert len(network.draw(4)) == 4
    with pytest.raises(RateExceeded):
        network.request(1)
    with pytest.raises(RateExceeded, match="at most 4096 bit at once"):
        network.request(17)


def test_too_many_requests_at_once_are_turned_away() -> None:
    network = chain(2, limits=KeyLimits(waiting_requests=2))
    network.start()
    network.request()
    network.request()
    with pytest.raises(Exhausted, match="too many requests"):
        network.request()


def test_more_important_associations_get_scarce_key_first() -> None:
    network = chain(2)
    link_id = network.link(1, 2)
    network.connect(link_id)
    network.settle()
    plans = []
    for index, priority in ((0, 1), (1, 5)):
        plans.append(
            AssociationPlan(
                app_id=AppId(uid(0xA00 + index)),
                server=MASTER,
                clients=(SaeId(f"client-{index}"),),
                source=True,
                links=(LinkId(uid(0x500)),),
                remote_node=network.node(2),
                priority=priority,
            )
        )
    route = Route(link_id=LinkId(uid(0x500)), prev_hop=None, next_hop=network.node(2))
    network.planes[1].configure(KeyPlan(routes=(route,), associations=tuple(plans)))
    egress = Route(link_id=LinkId(uid(0x500)), prev_hop=network.node(1), next_hop=None)
    network.planes[2].configure(
        KeyPlan(
            routes=(egress,),
            associations=tuple(
                AssociationPlan(
                    app_id=plan.app_id,
                    server=plan.server,
                    clients=plan.clients,
                    source=False,
                    links=plan.links,
                    remote_node=network.node(1),
                )
                for plan in plans
            ),
        )
    )
    for size in (600, 600):
        network.generate(link_id, size)
    network.settle()
    views = network.planes[1].snapshot().associations
    assert views[AppId(uid(0xA01))].stored_keys > 0
    assert views[AppId(uid(0xA00))].stored_keys == 0


# --- association states -------------------------------------------------------------------------


def test_both_applications_at_one_node_need_no_relay() -> None:
    network = chain(2)
    network.associate([1], virtual=0x500)
    keys = network.draw(5)
    assert len(keys) == 5
    assert all(key.link_id is None for key in keys)
    fetched = network.fetch(keys, at=1)
    assert all(one.key.same_as(two.key) for one, two in zip(keys, fetched, strict=True))
    assert fetched[0].link_id is None
    with pytest.raises(KeysNotFound):
        network.fetch(keys, at=1)


def test_while_the_remote_node_is_not_set_nothing_is_delivered() -> None:
    network = started()
    plan = network.plans[1]
    closed = AssociationPlan(
        app_id=APP, server=MASTER, clients=(SLAVE,), source=True, links=(), remote_node=None
    )
    network.planes[1].configure(KeyPlan(routes=plan.routes, associations=(closed,)))
    assert network.draw(1) == ()
    assert network.planes[1].snapshot().associations[APP].status is AppStatus.DISCONNECTED
    network.planes[1].configure(plan)
    assert len(network.draw(1)) == 1


def test_without_a_path_the_buffer_still_serves() -> None:
    network = started()
    parked = AssociationPlan(
        app_id=APP, server=MASTER, clients=(SLAVE,), source=True, links=(), remote_node=network.node(3)
    )
    network.planes[1].configure(KeyPlan(associations=(parked,)))
    keys = network.draw(16)
    assert len(network.fetch(keys, at=3)) == 16
    request = network.request()
    network.settle()
    assert network.planes[1].serving.why(request) == "0 of 1 keys ready: no path is configured"


def test_an_expired_association_supplies_nothing_and_says_so_once() -> None:
    network = chain(3)
    network.start()
    network.associate([1, 2, 3], expires_at=network.clock.now() + 10)
    network.settle()
    assert len(network.draw(1)) == 1
    large = network.request(100, 8192)
    network.wait(11)
    assert isinstance(large.error, Refused)
    assert [event for event in network.events[1] if isinstance(event, AssociationExpired)] == [
        AssociationExpired(app_id=APP)
    ]
    assert network.planes[1].snapshot().associations[APP].status is AppStatus.OUT_OF_TIME
    with pytest.raises(Refused, match="has expired"):
        network.request()
    network.associate([1, 2, 3])
    network.fill()
    network.wait(5)
    assert len(network.draw(1)) == 1, "a new expiration time opens it again"


def test_requests_of_a_removed_association_wait_for_a_new_one() -> None:
    network = chain(2)
    network.start()
    plan = AssociationPlan(
        app_id=APP, server=MASTER, clients=(SLAVE,), source=True, links=(), remote_node=None
    )
    network.planes[1].configure(KeyPlan(associations=(plan,)))
    request = network.request()
    network.planes[1].configure(KeyPlan())
    assert len(wanted(network)) == 1
    network.associate([1, 2])
    network.settle()
    assert request.keys is not None


def test_the_same_plan_again_changes_nothing() -> None:
    network = started()
    state = network.planes[1].snapshot()
    for number in network.numbers:
        network.planes[number].configure(network.plans[number])
    network.settle()
    assert network.planes[1].snapshot() == state


@pytest.mark.parametrize(
    ("plan", "complaint"),
    [
        (
            KeyPlan(routes=(Route(link_id=LinkId("v"), prev_hop=None, next_hop=None),)),
            "neither a previous nor",
        ),
        (
            KeyPlan(routes=tuple(Route(link_id=LinkId("v"), prev_hop=None, next_hop=n) for n in ("a", "b"))),  # type: ignore[arg-type]  # any names
            "stands twice",
        ),
        (KeyPlan(routes=(Route(link_id=LinkId("v"), prev_hop="a", next_hop="a"),)), "goes back"),  # type: ignore[arg-type]  # any names
        (
            KeyPlan(
                associations=(
                    AssociationPlan(
                        app_id=APP, server=MASTER, clients=(), source=True, links=(), remote_node=None
                    ),
                )
            ),
            "has no client",
        ),
    ],
)
def test_a_plan_that_contradicts_itself_is_refused_and_changes_nothing(plan: KeyPlan, complaint: str) -> None:
    network = started()
    before = network.planes[1].snapshot()
    with pytest.raises(InvalidInput, match=complaint):
        network.planes[1].configure(plan)
    assert network.planes[1].snapshot() == before


# --- what the controller sees -------------------------------------------------------------------


def test_statistics_name_the_path_and_close_with_their_period() -> None:
    network = started(statistics_period_s=60.0)
    keys = network.draw(3)
    network.settle()
    network.fetch(keys[:2], at=3)
    network.wait(61, step_s=1)
    (source,) = network.planes[1].snapshot().associations[APP].statistics
    (destination,) = network.planes[3].snapshot().associations[APP].statistics
    assert source.consumed_bits == 768
    assert [(one.link_id, one.delivered_bits, one.delivered_keys) for one in source.paths] == [
        (uid(0x500), 768, 3)
    ]
    assert destination.consumed_bits == 512
    assert source.end_time == destination.end_time
    network.wait(120, step_s=5)
    assert len(network.planes[1].snapshot().associations[APP].statistics) == 1, "no empty rows"


def test_what_was_delivered_is_told_when_the_association_goes() -> None:
    network = started(statistics_period_s=60.0)
    network.draw(3)
    network.wait(61, step_s=1)
    network.draw(2)
    for number in (1, 2, 3):
        network.planes[number].configure(KeyPlan())
    (removed,) = (one for one in network.events[1] if isinstance(one, AssociationRemoved))
    assert removed.app_id == APP
    assert [row.consumed_bits for row in removed.statistics] == [768, 512], "the open period too"
    assert not any(isinstance(one, AssociationRemoved) for one in network.events[3]), "nothing was fetched"


def test_pools_tell_when_they_are_empty_and_when_not() -> None:
    network = chain(2)
    link_id = network.link(1, 2)
    network.connect(link_id)
    network.settle()
    network.tick()
    assert network.events[1] == []
    network.generate(link_id, 600)
    network.settle()
    network.tick()
    assert network.events[1] == [PoolFilled(link_id=link_id)]
    network.restart(2)
    network.connect(link_id)
    network.settle()
    network.tick()
    assert network.events[1][-1] == PoolEmptied(link_id=link_id)


def test_the_snapshot_shows_pools_consumption_routes_and_peers() -> None:
    network = started()
    for _ in range(4):
        network.draw(8)
        network.settle()
        network.wait(1)
    state = network.planes[2].snapshot()
    assert state.peers_up == {network.node(1), network.node(3)}
    assert state.active_routes == {uid(0x500)}
    assert set(state.pools) == set(network.links)
    for link_id, pool in state.pools.items():
        assert 0 < pool.stored_bits < pool.capacity_bits == 400_000
        assert 1000 < state.consumption_bps[link_id] < 20_000
    network.disconnect(network.link(2, 3))
    assert network.planes[2].snapshot().active_routes == frozenset()
    assert network.planes[1].snapshot().active_routes == {uid(0x500)}
    network.wait(12)
    assert set(network.planes[2].snapshot().consumption_bps.values()) == {0}


def test_a_pool_that_falls_below_its_watermark_is_told_of_once_and_again_when_it_is_well_filled() -> None:
    network = chain(2, pool_low_bits=20_000)
    for link_id in network.links:
        network.connect(link_id)
    network.settle()

    def told() -> list[str]:
        network.tick()
        kinds = (PoolLow, PoolRecovered)
        return [type(event).__name__ for event in network.events[1] if isinstance(event, kinds)]

    link_id = network.link(1, 2)
    network.generate(link_id, 1000)
    assert told() == [], "it was never well filled"
    for _ in range(5):
        network.generate(link_id, 1000)
    network.settle()
    assert told() == []
    pool = network.planes[1].sessions[link_id].pool
    pool.spend(pool.own.shared_bytes)
    pool.their.drop_upto(pool.newest - 1)
    assert told() == ["PoolLow"]
    network.generate(link_id, 500)
    assert told() == ["PoolLow"]
    for _ in range(6):
        network.generate(link_id, 1000)
    assert told() == ["PoolLow", "PoolRecovered"]


def test_what_cannot_be_noted_is_neither_counted_nor_taken_from_the_rate() -> None:
    network = chain(2, durable=True, statistics_period_s=60.0)
    network.start()
    network.associate([1, 2], qos=AppQos(max_bandwidth_bps=1))
    network.settle()
    for disk in network.disks.values():
        disk.full = True
    for _ in range(9):  # far more than the rate allows
        assert network.planes[1].serving.draw(MASTER, SLAVE, 10, 256) is not None
        network.gather()
    for disk in network.disks.values():
        disk.full = False
    network.settle()
    bundles = network.planes[1].serving.draw(MASTER, SLAVE, 10, 256)
    assert bundles is not None
    network.gather()
    ids = b"".join(bundle.key_ids for bundle in bundles)
    assert sum(bundle.count for bundle in bundles) == len(ids) // 16 == 10
    network.disks[2].full = True
    network.planes[2].serving.fetch_bundles(SLAVE, MASTER, ids)
    network.gather()
    network.disks[2].full = False
    network.gather()
    theirs = network.planes[2].serving.fetch_bundles(SLAVE, MASTER, ids)
    assert b"".join(bytes(one.keys.reveal()) for one in theirs) == b"".join(
        bytes(one.keys.reveal()) for one in bundles
    )
    network.gather()
    network.wait(61, step_s=1)
    for number in (1, 2):
        (period,) = network.planes[number].snapshot().associations[APP].statistics
        assert period.consumed_bits == 2560
