"""The observed half of the 015 tree: statuses, figures and statistics, never taken from what was written."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyweave_agents.control.settings import NodeSettings
from keyweave_agents.control.tree import (
    Observation,
    active_virtual_links,
    initial_configuration,
    observed,
)
from keyweave_agents.keys.plan import AssociationView, KeyState
from keyweave_agents.quantum.module_settings import ModuleSettings
from keyweave_agents.quantum.observed import ModuleState
from keyweave_core.model.application import (
    Application,
    AppQos,
    AppStatistics,
    AppStatus,
    AppType,
    KeyMode,
    KeyOrigin,
    PathUsage,
)
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import (
    InterfaceStatus,
    KeyPool,
    Link,
    LinkStatus,
    LinkType,
    Quarantine,
    Role,
    Technology,
    VirtualSpec,
)
from keyweave_core.model.node import Node, NodeStatus, TrustLevel

ME = NodeId("aaaaaaaa-0000-4000-8000-000000000000")
FAR = NodeId("bbbbbbbb-0000-4000-8000-000000000000")
END = NodeId("cccccccc-0000-4000-8000-000000000000")
FIBRE = LinkId("11111111-0000-4000-8000-000000000001")
PATH = LinkId("11111111-0000-4000-8000-000000000002")
CLIENT = AppId("22222222-0000-4000-8000-000000000001")
RESERVED = AppId("22222222-0000-4000-8000-000000000002")

MODULE = ModuleSettings(
    interface_id=InterfaceId(1),
    link_id=FIBRE,
    remote_node_id=FAR,
    remote_interface_id=InterfaceId(2),
    role="receiver",
    profile="cv-gg02-lodewyck",
    distance_km=12.34567,
    loss_db=2.46913,
    listen="127.0.0.1:0",
)
NODE = NodeSettings(
    node_id=ME, location_id="room 1", state_dir=Path("state"), trust_level=TrustLevel.UNTRUSTED, relay=False
)
OWN = initial_configuration(NODE, [MODULE], [SaeId("alice")], version="9.9")

STATE = ModuleState(
    link_id=FIBRE,
    interface_status=InterfaceStatus.ENABLED,
    enabled=True,
    connected=True,
    generating=True,
    skr_bps=10_000,
    qber=0.02,
    snr_db=11.23456,
    loss_db=2.5,
    excess_noise=0.0,
    generated_bits=500_000,
    discarded_bits=0,
    cause=None,
    reason="",
)
DARK = replace(STATE, generating=False, connected=False, skr_bps=0, qber=None, snr_db=None)


def keys(
    stored_bits: int = 0,
    *,
    spent_bps: int = 0,
    views: tuple[AssociationView, ...] = (),
    routes: frozenset[LinkId] = frozenset(),
    up: frozenset[NodeId] = frozenset(),
) -> KeyState:
    return KeyState(
        pools={FIBRE: KeyPool(stored_bits=stored_bits, capacity_bits=1_000_000)},
        consumption_bps={FIBRE: spent_bps},
        associations={view.app_id: view for view in views},
        active_routes=routes,
        peers_up=up,
    )


def link_of(node: Node, link_id: LinkId) -> Link:
    return next(link for link in node.links if link.link_id == link_id)


def with_path(*following: NodeId, enable: bool = True) -> Node:
    path = Link(
        link_id=PATH,
        type=LinkType.VIRT,
        enable=enable,
        virtual=VirtualSpec(next_hops=following or (FAR,), bandwidth_bps=2_000),
    )
    apps = (
        Application(
            app_id=CLIENT,
            type=AppType.CLIENT,
            server_app_id=SaeId("alice"),
            qos=AppQos(min_bandwidth_bps=1_500),
            backing_link_ids=(PATH,),
        ),
        Application(
            app_id=RESERVED,
            type=AppType.INTERNAL,
            qos=AppQos(min_bandwidth_bps=2_000),
            backing_link_ids=(FIBRE,),
        ),
    )
    return replace(OWN, links=(*OWN.links, path), applications=apps)


def test_the_first_configuration_tells_the_facts_of_the_settings() -> None:
    assert (OWN.node_id, OWN.version, OWN.location_id) == (ME, "9.9", "room 1")
    assert OWN.trust_level is TrustLevel.UNTRUSTED
    assert not OWN.capabilities.key_relay_mode_enable
    assert OWN.consumers == ("alice",)
    (interface,) = OWN.interfaces
    assert (interface.technology, interface.role_support) == (Technology.CV_QKD, Role.RECEIVER)
    (link,) = OWN.links
    assert link.physical is not None
    # decimal64 of the module has three digits: the fact must equal what comes back from the wire
    assert (link.physical.channel_att_db, link.physical.distance_km) == (2.469, 12.346)
    assert link.remote is not None
    assert (link.remote.node_id, link.remote.interface_id) == (FAR, 2)


def test_the_settings_may_name_a_version_of_their_own() -> None:
    assert initial_configuration(replace(NODE, version="A7"), [], [], version="9.9").version == "A7"


@pytest.mark.parametrize(
    ("state", "stored", "enable", "status"),
    [
        (STATE, 0, True, LinkStatus.ACTIVE),
        (STATE, 5_000, True, LinkStatus.ACTIVE),
        (DARK, 5_000, True, LinkStatus.PASSIVE),
        (DARK, 5_000, False, LinkStatus.PASSIVE),
        (DARK, 0, True, LinkStatus.OFF),
        (replace(DARK, generated_bits=0), 0, True, LinkStatus.PENDING),
        (replace(DARK, generated_bits=0), 0, False, LinkStatus.OFF),
        (None, 0, True, LinkStatus.PENDING),
    ],
)
def test_status_of_a_physical_link(
    state: ModuleState | None, stored: int, enable: bool, status: LinkStatus
) -> None:
    running = replace(OWN, links=(replace(OWN.links[0], enable=enable),))
    seen = Observation(keys=keys(stored), modules={} if state is None else {FIBRE: state})
    assert link_of(observed(running, seen), FIBRE).status is status


def test_a_wish_never_shows_as_an_observation() -> None:
    running = replace(OWN, links=(replace(OWN.links[0], requested_status=LinkStatus.ACTIVE),))
    link = link_of(observed(running, Observation(keys=keys(), modules={FIBRE: DARK})), FIBRE)
    assert link.status is LinkStatus.OFF
    assert link.requested_status is LinkStatus.ACTIVE


@pytest.mark.parametrize("following", [(FAR,), (FAR, END)], ids=["adjacent", "all that remain"])
def test_a_virtual_link_is_active_while_its_route_and_neighbours_are(following: tuple[NodeId, ...]) -> None:
    running = with_path(*following)
    up, route = frozenset({FAR}), frozenset({PATH})
    assert active_virtual_links(running, keys(routes=route, up=up)) == {PATH}
    assert active_virtual_links(running, keys(routes=route)) == frozenset()
    assert active_virtual_links(running, keys(up=up)) == frozenset()
    assert active_virtual_links(running, keys(routes=route, up=frozenset({END}))) == (
        {PATH} if END in following else frozenset()
    )


@pytest.mark.parametrize(
    ("stored_keys", "ever", "enable", "status"),
    [
        (3, True, True, LinkStatus.PASSIVE),
        (0, True, True, LinkStatus.OFF),
        (0, False, True, LinkStatus.PENDING),
        (0, False, False, LinkStatus.OFF),
    ],
)
def test_status_of_a_virtual_link_that_carries_nothing(
    stored_keys: int, ever: bool, enable: bool, status: LinkStatus
) -> None:
    view = AssociationView(app_id=CLIENT, status=AppStatus.ON, stored_keys=stored_keys)
    seen = Observation(
        keys=keys(views=(view,)), modules={}, ever_active=frozenset({PATH}) if ever else frozenset()
    )
    assert link_of(observed(with_path(enable=enable), seen), PATH).status is status


def test_figures_of_links() -> None:
    node = observed(with_path(), Observation(keys=keys(700, spent_bps=4_000), modules={FIBRE: STATE}))
    fibre = link_of(node, FIBRE)
    assert fibre.pool == KeyPool(stored_bits=700, capacity_bits=1_000_000)
    assert fibre.performance.expected_consumption_bps == 2_000
    assert fibre.performance.skr_bps == 10_000
    assert fibre.performance.eskr_bps == 6_000
    assert fibre.performance.qber == 0.02
    assert fibre.performance.snr_db == 11.235
    path = link_of(node, PATH)
    assert path.performance.expected_consumption_bps == 1_500
    assert path.performance.skr_bps is None
    assert node.status is NodeStatus.OPERATING
    assert node.interfaces[0].status is InterfaceStatus.ENABLED


def test_more_is_taken_than_made() -> None:
    node = observed(OWN, Observation(keys=keys(spent_bps=99_999), modules={FIBRE: STATE}))
    assert link_of(node, FIBRE).performance.eskr_bps == 0


def test_applications_show_status_creation_and_usage_by_path() -> None:
    usage = PathUsage(link_id=PATH, delivered_bits=512, delivered_keys=2)
    period = AppStatistics(end_time="2026-01-01T00:01:00Z", consumed_bits=512, paths=(usage,))
    view = AssociationView(app_id=CLIENT, status=AppStatus.OUT_OF_TIME, stored_keys=0, statistics=(period,))
    seen = Observation(
        keys=keys(views=(view,)), modules={}, created={CLIENT: "2026-01-01T00:00:00Z"}, direct={PATH: FIBRE}
    )
    client, reserved = observed(with_path(), seen).applications
    assert client.status is AppStatus.OUT_OF_TIME
    assert client.creation_time == "2026-01-01T00:00:00Z"
    # the path was derived from a physical link: that is what the configuration names
    assert client.statistics[0].paths == (replace(usage, link_id=FIBRE),)
    assert (reserved.status, reserved.creation_time) == (AppStatus.ON, None)


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**33), st.booleans())
def test_law_what_is_shown_fits_the_module(skr: int, spent: int, stored: int, generating: bool) -> None:
    state = replace(STATE, skr_bps=skr, generating=generating)
    link = link_of(
        observed(OWN, Observation(keys=keys(stored, spent_bps=spent), modules={FIBRE: state})), FIBRE
    )
    figures = link.performance
    assert figures.skr_bps is not None
    assert figures.eskr_bps is not None
    assert 0 <= figures.eskr_bps <= figures.skr_bps < 2**32
    assert (link.status is LinkStatus.ACTIVE) == generating
    assert (link.status is LinkStatus.PASSIVE) == (not generating and stored > 0)


def test_a_link_in_quarantine_is_off_whatever_lies_in_its_pool() -> None:
    shut = Quarantine(reason="QBER 14.0%", discarded_bits=4096, spent_bits=512)
    seen = Observation(keys=keys(5_000), modules={FIBRE: replace(DARK, quarantine=shut)})
    link = link_of(observed(OWN, seen), FIBRE)
    assert (link.status, link.quarantine) == (LinkStatus.OFF, shut)
    assert link.pool is not None


@pytest.mark.parametrize("mode", KeyMode)
def test_what_keys_are_made_of_is_shown_where_that_may_differ(mode: KeyMode) -> None:
    running = with_path()
    apps = tuple(replace(one, key_mode=mode) for one in running.applications)
    view = AssociationView(app_id=CLIENT, status=AppStatus.ON, stored_keys=1, origin=KeyOrigin.PQC)
    tree = observed(replace(running, applications=apps), Observation(keys=keys(views=(view,)), modules={}))
    shown = next(one for one in tree.applications if one.app_id == CLIENT).origin
    assert shown is (None if mode is KeyMode.QKD_ONLY else KeyOrigin.PQC)
