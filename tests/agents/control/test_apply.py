"""From a committed configuration to a plan: what is planned, what is refused, and the laws of both."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.control.apply import Decision, decide, is_wanted
from keyweave_agents.control.rebasing import rebase
from keyweave_agents.keys.plan import Route
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import Application as App
from keyweave_core.model.application import AppQos, AppType, KeyMode, RelayMethod
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import (
    Endpoint,
    Interface,
    Link,
    LinkStatus,
    LinkType,
    PhysicalSpec,
    Role,
    Technology,
    VirtualSpec,
)
from keyweave_core.model.node import Capabilities, Node, TrustLevel


def node_id(letter: str) -> NodeId:
    return NodeId(f"{letter * 8}-0000-4000-8000-000000000000")


def link_id(number: int) -> LinkId:
    return LinkId(f"11111111-0000-4000-8000-{number:012d}")


def app_id(number: int) -> AppId:
    return AppId(f"22222222-0000-4000-8000-{number:012d}")


ME, LEFT, RIGHT, FAR = node_id("a"), node_id("b"), node_id("c"), node_id("d")
ALICE, BOB, FAR_SAE = SaeId("alice"), SaeId("bob"), SaeId("carol")


def physical(number: int, interface: int, far: NodeId, role: Role) -> Link:
    return Link(
        link_id=link_id(number),
        type=LinkType.PHYS,
        local=Endpoint(node_id=ME, interface_id=InterfaceId(interface)),
        remote=Endpoint(node_id=far, interface_id=InterfaceId(1)),
        physical=PhysicalSpec(channel_att_db=4.0, wavelength=34, role=role, distance_km=20.0),
    )


OWN = Node(
    node_id=ME,
    version="1",
    location_id="room 1",
    consumers=(ALICE,),
    interfaces=(
        Interface(interface_id=InterfaceId(1), technology=Technology.DV_QKD),
        Interface(interface_id=InterfaceId(2), technology=Technology.CV_QKD),
    ),
    links=(physical(1, 1, LEFT, Role.TRANSMITTER), physical(2, 2, RIGHT, Role.RECEIVER)),
)


def virtual(number: int, prev: NodeId | None, *following: NodeId, **more: Any) -> Link:
    spec = VirtualSpec(prev_hop=prev, next_hops=following, bandwidth_bps=2000)
    return Link(link_id=link_id(number), type=LinkType.VIRT, virtual=spec, **more)


def client(number: int, **more: Any) -> App:
    entry: dict[str, Any] = {
        "type": AppType.CLIENT,
        "server_app_id": ALICE,
        "client_app_ids": (BOB,),
        "local_node_id": ME,
        "remote_node_id": FAR,
    }
    return App(app_id=app_id(number), **(entry | more))


def configured(*links: Link, apps: tuple[App, ...] = (), own: Node = OWN) -> Node:
    return replace(own, links=(*own.links, *links), applications=apps)


def refused(wanted: Node, own: Node = OWN) -> SchemaViolation:
    with pytest.raises(SchemaViolation) as caught:
        decide(wanted, own)
    return caught.value


def test_the_initial_configuration_plans_nothing_and_generates_everywhere() -> None:
    decision = decide(OWN, OWN)
    assert decision.plan.routes == ()
    assert decision.plan.associations == ()
    assert decision.generating == {link_id(1), link_id(2)}


@pytest.mark.parametrize(
    ("link", "route"),
    [
        (virtual(9, None, RIGHT), (None, RIGHT)),
        (virtual(9, LEFT, RIGHT), (LEFT, RIGHT)),
        (virtual(9, LEFT), (LEFT, None)),
        # all remaining nodes of the path, as other controllers write it
        (virtual(9, LEFT, RIGHT, FAR), (LEFT, RIGHT)),
        (virtual(9, None, FAR, RIGHT), (None, RIGHT)),
    ],
)
def test_a_virtual_link_becomes_a_route(link: Link, route: tuple[NodeId | None, NodeId | None]) -> None:
    plan = decide(configured(link), OWN).plan
    assert plan.routes == (
        Route(link_id=link_id(9), prev_hop=route[0], next_hop=route[1], bandwidth_bps=2000),
    )


def test_an_application_served_here_becomes_the_source_of_an_association() -> None:
    qos = AppQos(min_bandwidth_bps=500, ttl_s=60)
    entry = client(
        1,
        backing_link_ids=(link_id(9),),
        qos=qos,
        priority=3,
        expiration_time="2026-01-01T00:00:00Z",
    )
    (planned,) = decide(configured(virtual(9, None, RIGHT), apps=(entry,)), OWN).plan.associations
    assert planned.source
    assert (planned.server, planned.clients) == (ALICE, (BOB,))
    assert (planned.links, planned.remote_node) == ((link_id(9),), FAR)
    assert (planned.qos, planned.priority, planned.expires_at) == (qos, 3, 1767225600.0)


def test_keys_of_an_application_with_several_virtual_links_are_split_over_all_of_them() -> None:
    links = (virtual(8, None, LEFT), virtual(9, None, RIGHT))
    for backing in ((8, 9), (9, 8), (9, 1, 8)):
        entry = client(1, backing_link_ids=tuple(link_id(each) for each in backing))
        decision = decide(configured(*links, apps=(entry,)), OWN)
        (planned,) = decision.plan.associations
        assert planned.links == (link_id(8), link_id(9)), "whatever their order, and whatever stands beside"
        assert decision.direct == {}


def test_a_link_that_is_switched_off_still_counts_among_those_that_keys_are_split_over() -> None:
    links = (virtual(8, None, LEFT), virtual(9, None, RIGHT, enable=False))
    entry = client(1, backing_link_ids=(link_id(8), link_id(9)))
    plan = decide(configured(*links, apps=(entry,)), OWN).plan
    assert [route.link_id for route in plan.routes] == [link_id(8)]
    assert plan.associations[0].links == (link_id(8), link_id(9))


def test_keys_are_split_over_eight_links_at_most() -> None:
    links = [virtual(number, None, LEFT) for number in range(10, 19)]
    entry = client(1, backing_link_ids=tuple(link.link_id for link in links))
    error = refused(configured(*links, apps=(entry,)))
    assert "9 virtual links; keys are split over at most 8" in str(error)
    assert error.path is not None
    assert error.path.endswith("/backing_qkdl_id")
    fewer = replace(entry, backing_link_ids=entry.backing_link_ids[:8])
    assert len(decide(configured(*links, apps=(fewer,)), OWN).plan.associations[0].links) == 8


def test_a_split_that_lost_a_path_while_the_node_was_down_is_no_weaker_split() -> None:
    links = (virtual(8, None, LEFT), virtual(9, None, RIGHT), virtual(10, None, LEFT))
    entry = client(1, backing_link_ids=(link_id(8), link_id(9), link_id(10)))
    single = client(2, backing_link_ids=(link_id(8),))
    today = replace(OWN, links=OWN.links[:1])  # the fibre to the right is gone
    config, dropped = rebase(configured(*links, apps=(entry, single)), today)
    assert len(dropped) == 2, "the fibre and the virtual link over it"
    assert {each.app_id: each.links for each in decide(config, today).plan.associations} == {
        app_id(1): (),
        app_id(2): (link_id(8),),
    }


def test_a_link_without_one_far_end_forks_to_all_its_next_hops() -> None:
    (route,) = decide(configured(virtual(9, None, LEFT, RIGHT)), OWN).plan.routes
    assert (route.next_hop, route.branches) == (LEFT, (RIGHT,))
    remaining = replace(virtual(9, None, LEFT, RIGHT), remote=Endpoint(node_id=RIGHT))
    (route,) = decide(configured(remaining), OWN).plan.routes
    assert (route.next_hop, route.branches) == (LEFT, ()), "the nodes that remain to the end of one path"
    for hops in ((LEFT, FAR), (LEFT, RIGHT, FAR)):
        (route,) = decide(configured(virtual(9, None, *hops)), OWN).plan.routes
        assert (route.next_hop, route.branches) == (LEFT, ())


def test_a_node_on_the_way_of_a_tree_is_an_end_before_its_application_is_there() -> None:
    end = replace(virtual(9, LEFT, RIGHT), local=Endpoint(node_id=OWN.node_id))
    assert end.remote is None
    (route,) = decide(configured(end), OWN).plan.routes
    assert route.ends_here
    whole = replace(end, remote=Endpoint(node_id=RIGHT))
    for link in (virtual(9, LEFT, RIGHT), whole, replace(virtual(9, LEFT), local=end.local)):
        (route,) = decide(configured(link), OWN).plan.routes
        assert not route.ends_here


def test_a_link_that_goes_on_may_feed_an_application_here() -> None:
    entry = client(1, server_app_id=BOB, client_app_ids=(FAR_SAE, ALICE), backing_link_ids=(link_id(9),))
    plan = decide(configured(virtual(9, LEFT, RIGHT), apps=(entry,)), OWN).plan
    assert plan.routes[0].ends_here
    assert plan.associations[0].clients == (ALICE,), "the other one is served where it lives"
    plan = decide(configured(virtual(9, LEFT), apps=(entry,)), OWN).plan
    assert not plan.routes[0].ends_here, "an end and nothing besides"
    server = client(1, client_app_ids=(FAR_SAE, BOB), backing_link_ids=(link_id(9),))
    plan = decide(configured(virtual(9, None, RIGHT), apps=(server,)), OWN).plan
    assert plan.associations[0].clients == (FAR_SAE, BOB)


def test_an_application_whose_client_is_served_here_is_the_far_end() -> None:
    entry = client(1, server_app_id=BOB, client_app_ids=(ALICE,), backing_link_ids=(link_id(9),))
    (planned,) = decide(configured(virtual(9, LEFT), apps=(entry,)), OWN).plan.associations
    assert not planned.source


def test_two_applications_of_one_node_are_a_local_association() -> None:
    own = replace(OWN, consumers=(ALICE, BOB))
    entry = client(1, remote_node_id=ME)
    (planned,) = decide(configured(apps=(entry,), own=own), own).plan.associations
    assert planned.source
    assert (planned.links, planned.remote_node) == ((), ME)


def test_without_remote_node_the_association_is_held_and_delivers_nothing() -> None:
    (planned,) = decide(configured(apps=(client(1, remote_node_id=None),)), OWN).plan.associations
    assert planned.remote_node is None


@pytest.mark.parametrize(
    "entry",
    [
        client(1, type=AppType.INTERNAL, server_app_id=None, backing_link_ids=(link_id(1),)),
        client(1, local_node_id=FAR),
        client(1, local_node_id=None, server_app_id=BOB, client_app_ids=()),
        client(1, client_app_ids=()),
    ],
    ids=["reservation", "held by another node", "nobody's", "for nobody"],
)
def test_other_entries_are_kept_and_plan_nothing(entry: App) -> None:
    assert decide(configured(apps=(entry,)), OWN).plan.associations == ()


def test_a_physical_link_may_back_an_association_and_both_directions_fit() -> None:
    out = client(1, remote_node_id=LEFT, backing_link_ids=(link_id(1),))
    back = client(
        2,
        server_app_id=BOB,
        client_app_ids=(ALICE,),
        remote_node_id=LEFT,
        backing_link_ids=(link_id(1),),
    )
    decision = decide(configured(apps=(out, back)), OWN)
    hops = {(route.prev_hop, route.next_hop) for route in decision.plan.routes}
    assert hops == {(None, LEFT), (LEFT, None)}
    assert len({route.link_id for route in decision.plan.routes}) == 2
    assert set(decision.direct.values()) == {link_id(1)}
    assert {each.links[0] for each in decision.plan.associations} == set(decision.direct)


def test_both_ends_derive_the_same_route_from_a_physical_link() -> None:
    """The far end sees the mirrored link and must come to the same id without being told."""
    mine = decide(configured(apps=(client(1, remote_node_id=LEFT, backing_link_ids=(link_id(1),)),)), OWN)
    other = replace(
        OWN,
        node_id=LEFT,
        consumers=(BOB,),
        interfaces=(),
        links=(
            replace(
                OWN.links[0],
                local=OWN.links[0].remote,
                remote=OWN.links[0].local,
            ),
        ),
    )
    entry = client(1, local_node_id=LEFT, remote_node_id=ME, backing_link_ids=(link_id(1),))
    theirs = decide(configured(apps=(entry,), own=other), other)
    assert set(mine.direct) == set(theirs.direct)


@pytest.mark.parametrize("how", [{"enable": False}, {"requested_status": LinkStatus.OFF}])
def test_a_link_switched_off_is_neither_generating_nor_routed(how: dict[str, Any]) -> None:
    wanted = replace(OWN, links=(replace(OWN.links[0], **how), OWN.links[1], virtual(9, None, RIGHT, **how)))
    decision = decide(wanted, OWN)
    assert decision.generating == {link_id(2)}
    assert decision.plan.routes == ()


@pytest.mark.parametrize("status", [None, LinkStatus.ACTIVE, LinkStatus.PASSIVE, LinkStatus.PENDING])
def test_a_status_that_was_read_and_written_back_is_no_command(status: LinkStatus | None) -> None:
    assert is_wanted(replace(OWN.links[0], requested_status=status))


def test_what_belongs_to_the_writer_may_be_written_on_a_physical_link() -> None:
    mine = OWN.links[0]
    written = replace(
        mine,
        applications=(app_id(1),),
        requested_status=LinkStatus.ACTIVE,
        physical=PhysicalSpec(channel_att_db=9.9, wavelength=21, role=Role.TRANSMITTER, distance_km=20.0),
    )
    assert decide(replace(OWN, links=(written, OWN.links[1])), OWN).generating == {link_id(1), link_id(2)}


FACTS: list[tuple[str, Node]] = [
    ("qkdn_id", replace(OWN, node_id=FAR)),
    ("qkdn_capabilities", replace(OWN, capabilities=Capabilities(key_relay_mode_enable=False))),
    ("trust-level", replace(OWN, trust_level=TrustLevel.UNTRUSTED)),
    ("consumer", replace(OWN, consumers=(ALICE, BOB))),
    ("qkd_interface[qkdi_id='2']", replace(OWN, interfaces=OWN.interfaces[:1])),
    (
        "qkd_interface[qkdi_id='1']",
        replace(OWN, interfaces=(Interface(interface_id=InterfaceId(1)), *OWN.interfaces[1:])),
    ),
    (
        "qkd_interface[qkdi_id='7']",
        replace(OWN, interfaces=(*OWN.interfaces, Interface(interface_id=InterfaceId(7)))),
    ),
    (link_id(2), replace(OWN, links=OWN.links[:1])),
    ("qkdl_type", replace(OWN, links=(replace(OWN.links[0], type=LinkType.VIRT), OWN.links[1]))),
    ("qkdl_local", replace(OWN, links=(replace(OWN.links[0], local=None), OWN.links[1]))),
    ("qkdl_remote", replace(OWN, links=(replace(OWN.links[0], remote=Endpoint(node_id=FAR)), OWN.links[1]))),
    ("phys_qkd_role", replace(OWN, links=(replace(OWN.links[0], physical=PhysicalSpec()), OWN.links[1]))),
    (link_id(8), replace(OWN, links=(*OWN.links, physical(8, 1, FAR, Role.RECEIVER)))),
]


@pytest.mark.parametrize(("where", "wanted"), FACTS, ids=[where for where, _ in FACTS])
def test_what_the_node_owns_is_not_changed(where: str, wanted: Node) -> None:
    error = refused(wanted)
    assert where in error.path
    assert error.path.startswith("/etsi-qkd-sdn-node:qkd_node/")


@pytest.mark.parametrize(
    ("link", "where"),
    [
        (virtual(9, None, FAR), "virt_next_hop"),
        (virtual(9, FAR, RIGHT), "virt_prev_hop"),
        (virtual(9, LEFT, LEFT), "virt_next_hop"),
        (virtual(9, None, ME), "virt_next_hop"),
        (virtual(9, None), str(link_id(9))),
        (Link(link_id=link_id(9)), "qkdl_type"),
        (Link(link_id=link_id(9), type=LinkType.VIRT), str(link_id(9))),
    ],
)
def test_a_virtual_link_that_cannot_be_is_refused(link: Link, where: str) -> None:
    assert where in refused(configured(link)).path


def test_a_refusal_holds_for_a_link_that_is_switched_off_too() -> None:
    """Otherwise the fault would come up when it is switched on, far from the one who made it."""
    refused(configured(virtual(9, None, FAR, enable=False)))


@pytest.mark.parametrize(
    "own",
    [
        replace(OWN, trust_level=TrustLevel.UNTRUSTED),
        replace(OWN, capabilities=Capabilities(key_relay_mode_enable=False)),
    ],
)
def test_a_node_that_does_not_relay_may_still_end_a_path(own: Node) -> None:
    assert "relay" in refused(configured(virtual(9, LEFT, RIGHT), own=own), own).reason
    assert len(decide(configured(virtual(9, LEFT), own=own), own).plan.routes) == 1


@pytest.mark.parametrize(
    ("entry", "where"),
    [
        (client(1, server_app_id=BOB, client_app_ids=()), "server_app_id"),
        (client(1, server_app_id=None, client_app_ids=(ALICE,)), "server_app_id"),
        (client(1, backing_link_ids=(link_id(77),)), "backing_qkdl_id"),
        (client(1, type=AppType.INTERNAL, backing_link_ids=(link_id(77),)), "backing_qkdl_id"),
        (client(1, expiration_time="2026-01-01T00:00:00"), "expiration_time"),
    ],
)
def test_an_application_that_cannot_be_is_refused(entry: App, where: str) -> None:
    error = refused(configured(apps=(entry,)))
    assert error.path.endswith(where)
    assert entry.app_id in error.path


def test_after_a_change_of_settings_what_no_longer_fits_is_left_out() -> None:
    through, stays = virtual(9, LEFT, RIGHT), virtual(10, None, RIGHT)
    saved = configured(
        through,
        stays,
        apps=(
            client(1, backing_link_ids=(link_id(10),)),
            client(2, backing_link_ids=(link_id(9),), server_app_id=BOB, client_app_ids=(ALICE,)),
        ),
    )
    saved = replace(
        saved, links=(replace(saved.links[0]), replace(saved.links[1], enable=False), *saved.links[2:])
    )
    today = replace(OWN, version="2", links=OWN.links[1:], interfaces=OWN.interfaces[1:])
    config, dropped = rebase(saved, today)
    assert config.version == "2"
    assert {link.link_id for link in config.links} == {link_id(2), link_id(10)}
    # the link to LEFT went, as a physical link of this node and as a hop
    assert len(dropped) == 2
    assert {entry.app_id: entry.backing_link_ids for entry in config.applications} == {
        app_id(1): (link_id(10),),
        app_id(2): (),
    }
    decision = decide(config, today)
    assert decision.generating == frozenset()
    assert len(decision.plan.associations) == 2


hops = st.sampled_from([None, LEFT, RIGHT, FAR, ME])
links = st.lists(
    st.builds(
        lambda number, prev, following, enable: virtual(number, prev, *following, enable=enable),
        st.integers(10, 14),
        hops,
        st.lists(st.sampled_from([LEFT, RIGHT, FAR]), max_size=3, unique=True),
        st.booleans(),
    ),
    max_size=4,
    unique_by=lambda link: link.link_id,
)
apps = st.lists(
    st.builds(
        lambda number, server, clients, local, backing, kind: client(
            number,
            server_app_id=server,
            client_app_ids=tuple(clients),
            local_node_id=local,
            backing_link_ids=tuple(link_id(each) for each in backing),
            type=kind,
        ),
        st.integers(1, 5),
        st.sampled_from([ALICE, BOB, None]),
        st.lists(st.sampled_from([ALICE, BOB]), max_size=2, unique=True),
        st.sampled_from([ME, FAR, None]),
        st.lists(st.integers(1, 14), max_size=2, unique=True),
        st.sampled_from([AppType.CLIENT, AppType.INTERNAL]),
    ),
    max_size=4,
    unique_by=lambda entry: entry.app_id,
)


def outcome(wanted: Node) -> Decision | None:
    try:
        return decide(wanted, OWN)
    except SchemaViolation:
        return None


@given(links, apps, st.randoms(use_true_random=False))
def test_law_the_order_of_entries_means_nothing(some: list[Link], entries: list[App], random: Any) -> None:
    straight = configured(*some, apps=tuple(entries))
    shuffled_links, shuffled_apps = list(straight.links), list(straight.applications)
    random.shuffle(shuffled_links)
    random.shuffle(shuffled_apps)
    shuffled = replace(straight, links=tuple(shuffled_links), applications=tuple(shuffled_apps))
    assert outcome(straight) == outcome(shuffled)


@given(links, apps)
def test_law_a_plan_names_only_what_the_key_manager_can_hold(some: list[Link], entries: list[App]) -> None:
    decision = outcome(configured(*some, apps=tuple(entries)))
    if decision is None:
        return
    routes = decision.plan.routes
    assert len({route.link_id for route in routes}) == len(routes)
    for route in routes:
        assert (route.prev_hop, route.next_hop) != (None, None)
        assert route.prev_hop != route.next_hop
        assert {route.prev_hop, route.next_hop} <= {None, LEFT, RIGHT}
    for planned in decision.plan.associations:
        assert planned.source == (planned.server == ALICE)
        assert planned.source or ALICE in planned.clients


@given(links, apps)
def test_law_what_was_accepted_survives_a_restart_unchanged(some: list[Link], entries: list[App]) -> None:
    wanted = configured(*some, apps=tuple(entries))
    decision = outcome(wanted)
    config, dropped = rebase(wanted, OWN)
    again = decide(config, OWN)  # never refused
    if decision is not None:
        assert dropped == ()
        assert again == decision


RANGED = replace(
    OWN,
    interfaces=(replace(OWN.interfaces[0], wavelength_range="30-36,1310"), OWN.interfaces[1]),
)


def on_channel(wavelength: int | None) -> Node:
    physical_spec = PhysicalSpec(
        channel_att_db=4.5, wavelength=wavelength, role=Role.TRANSMITTER, distance_km=20.0
    )
    return replace(RANGED, links=(replace(RANGED.links[0], physical=physical_spec), RANGED.links[1]))


def test_a_module_is_told_a_wavelength_of_its_range() -> None:
    assert decide(RANGED, RANGED).channels == {link_id(1): 34, link_id(2): 34}
    assert decide(on_channel(1310), RANGED).channels == {link_id(1): 1310, link_id(2): 34}
    assert decide(on_channel(None), RANGED).channels[link_id(1)] == 34  # taken away: as it began


def test_a_wavelength_out_of_the_range_is_refused_with_its_path() -> None:
    with pytest.raises(
        SchemaViolation, match="channel 37 is not in the wavelength range 30-36,1310"
    ) as caught:
        decide(on_channel(37), RANGED)
    assert str(caught.value.path).endswith(f"qkd_link[qkdl_id='{link_id(1)}']/phys_wavelength")


def test_a_saved_wavelength_that_the_module_cannot_make_any_more_is_left_out() -> None:
    config, (dropped,) = rebase(on_channel(37), RANGED)
    assert "channel 37" in dropped
    assert decide(config, RANGED).channels[link_id(1)] == 34
    config, nothing = rebase(on_channel(31), RANGED)
    assert nothing == ()
    assert decide(config, RANGED).channels[link_id(1)] == 31


def test_mode_threshold_and_method_reach_the_plan() -> None:
    links = [virtual(9 + n, None, RIGHT, relay_method=RelayMethod.AES_256_GCM) for n in range(3)]
    backing = tuple(link.link_id for link in links)
    entry = client(1, backing_link_ids=backing, key_mode=KeyMode.PQC_FALLBACK, share_threshold=2)
    plan = decide(configured(*links, apps=(entry,)), OWN).plan
    assert (plan.associations[0].mode, plan.associations[0].threshold) == (KeyMode.PQC_FALLBACK, 2)
    assert {route.method for route in plan.routes} == {RelayMethod.AES_256_GCM}
    plain = decide(configured(virtual(9, None, RIGHT), apps=(client(1),)), OWN).plan
    assert (plain.associations[0].mode, plain.associations[0].threshold) == (KeyMode.QKD_ONLY, None)
    assert plain.routes[0].method is RelayMethod.OTP


@pytest.mark.parametrize(("links", "threshold"), [(1, 2), (2, 3)])
def test_a_threshold_above_the_shares_is_refused(links: int, threshold: int) -> None:
    paths = [virtual(9 + n, None, RIGHT) for n in range(links)]
    entry = client(1, backing_link_ids=tuple(one.link_id for one in paths), share_threshold=threshold)
    error = refused(configured(*paths, apps=(entry,)))
    assert "share-threshold" in str(error)
    assert f"{threshold} shares" in str(error)


def test_a_threshold_outlives_the_links_that_it_was_for() -> None:
    entry = client(1, share_threshold=2)
    assert decide(configured(apps=(entry,)), OWN).plan.associations[0].threshold is None
