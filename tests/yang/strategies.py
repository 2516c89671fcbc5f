"""Hypothesis strategies for the domain values that travel as 015 data.

Every value drawn can be written as valid data: numbers in range, decimals of three digits, ids unique in
their lists, and figures only where the standard has a place for them.
"""

from datetime import datetime

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from keyweave_core.model.application import (
    Application,
    AppQos,
    AppStatistics,
    AppStatus,
    AppType,
    KeyMode,
    KeyOrigin,
    PathUsage,
    RelayMethod,
)
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import (
    Endpoint,
    Interface,
    InterfaceStatus,
    KeyPool,
    Link,
    LinkPerformance,
    LinkStatus,
    LinkType,
    PhysicalSpec,
    Quarantine,
    Role,
    Technology,
    VirtualSpec,
)
from keyweave_core.model.node import Capabilities, Node, NodeStatus, TrustLevel
from keyweave_core.model.notifications import (
    Alarm,
    ApplicationDisconnected,
    ApplicationNew,
    ApplicationQosUpdate,
    ApplicationReport,
    Concern,
    Event,
    InterfaceDown,
    InterfaceNew,
    InterfaceOut,
    InterfaceReport,
    LinkDown,
    LinkOverloaded,
    LinkPerfUpdate,
    LinkReport,
    Notification,
    Severity,
)

_XML = st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))
texts: SearchStrategy[str] = st.text(_XML, max_size=20)
uuids: SearchStrategy[str] = st.uuids().map(str)
node_ids = uuids.map(NodeId)
link_ids = uuids.map(LinkId)
app_ids = uuids.map(AppId)
sae_ids = texts.map(SaeId)
uint32 = st.integers(0, 2**32 - 1)
uint64 = st.integers(0, 2**64 - 1)
interface_ids = uint32.map(InterfaceId)
decimals = st.integers(-1_000_000, 1_000_000).map(lambda thousandths: thousandths / 1000)
times = st.builds(
    lambda moment, zone: moment.strftime("%Y-%m-%dT%H:%M:%S") + zone,
    st.datetimes(min_value=datetime(1000, 1, 1)),  # noqa: DTZ001 - the zone is drawn beside it
    st.sampled_from(["Z", "+00:00", "-05:30", ".25Z"]),
)
channels = st.integers(1, 9999)
ranges = st.lists(
    st.one_of(channels.map(str), st.tuples(channels, channels).map(lambda pair: f"{pair[0]}-{pair[1]}")),
    min_size=1,
    max_size=4,
).map(",".join)


def maybe(strategy: SearchStrategy[object]) -> SearchStrategy[object]:
    """The value, or nothing said."""
    return st.none() | strategy


def several(strategy: SearchStrategy[object], most: int = 3) -> SearchStrategy[tuple[object, ...]]:
    """A tuple without repetition."""
    return st.lists(strategy, max_size=most, unique=True).map(tuple)


qos: SearchStrategy[AppQos] = st.builds(
    AppQos,
    max_bandwidth_bps=maybe(uint32),
    min_bandwidth_bps=maybe(uint32),
    jitter_ms=maybe(uint32),
    ttl_s=maybe(uint32),
)
statistics: SearchStrategy[AppStatistics] = st.builds(
    AppStatistics,
    end_time=times,
    start_time=maybe(times),
    consumed_bits=maybe(uint32),
    paths=st.lists(
        st.builds(
            PathUsage,
            link_id=link_ids,
            delivered_bits=uint64,
            delivered_keys=uint64,
            origin=st.sampled_from(KeyOrigin),
        ),
        max_size=3,
        unique_by=lambda path: (path.link_id, path.origin),
    ).map(tuple),
)
applications: SearchStrategy[Application] = st.builds(
    Application,
    app_id=app_ids,
    type=maybe(st.sampled_from(AppType)),
    status=maybe(st.sampled_from(AppStatus)),
    server_app_id=maybe(sae_ids),
    client_app_ids=several(sae_ids),
    priority=uint32,
    creation_time=maybe(times),
    expiration_time=maybe(times),
    statistics=st.lists(statistics, max_size=2, unique_by=lambda row: row.end_time).map(tuple),
    qos=qos,
    backing_link_ids=several(link_ids),
    local_node_id=maybe(node_ids),
    remote_node_id=maybe(node_ids),
    key_mode=st.sampled_from(KeyMode),
    share_threshold=maybe(st.integers(2, 8)),
    origin=maybe(st.sampled_from(KeyOrigin)),
)
interfaces: SearchStrategy[Interface] = st.builds(
    Interface,
    interface_id=interface_ids,
    model=maybe(texts),
    technology=maybe(st.sampled_from(Technology)),
    device=maybe(texts),
    port=maybe(uint32),
    role_support=maybe(st.sampled_from(Role)),
    wavelength_range=maybe(ranges),
    max_absorption_db=maybe(decimals),
    status=maybe(st.sampled_from(InterfaceStatus)),
)
rates: SearchStrategy[LinkPerformance] = st.builds(
    LinkPerformance, expected_consumption_bps=maybe(uint32), skr_bps=maybe(uint32), eskr_bps=maybe(uint32)
)
physical_figures: SearchStrategy[LinkPerformance] = st.builds(
    LinkPerformance,
    expected_consumption_bps=maybe(uint32),
    skr_bps=maybe(uint32),
    eskr_bps=maybe(uint32),
    qber=maybe(st.integers(0, 50_000).map(lambda part: part / 100_000)),
    snr_db=maybe(decimals),
)
endpoints = st.builds(Endpoint, node_id=node_ids, interface_id=maybe(interface_ids))
_link_common = {
    "link_id": link_ids,
    "status": maybe(st.sampled_from(LinkStatus)),
    "requested_status": maybe(st.sampled_from(LinkStatus)),
    "enable": st.booleans(),
    "local": maybe(endpoints),
    "remote": maybe(endpoints),
    "applications": several(app_ids),
    "pool": maybe(st.builds(KeyPool, stored_bits=uint64, capacity_bits=uint64, oldest_age_s=maybe(uint32))),
    "quarantine": maybe(st.builds(Quarantine, reason=texts, discarded_bits=uint64, spent_bits=uint64)),
}
virtual_links: SearchStrategy[Link] = st.builds(
    Link,
    type=st.just(LinkType.VIRT),
    virtual=st.builds(
        VirtualSpec,
        prev_hop=maybe(node_ids),
        next_hops=several(node_ids),
        bandwidth_bps=maybe(uint32),
    ),
    performance=rates,
    relay_method=maybe(st.sampled_from(RelayMethod)),
    **_link_common,
)
physical_links: SearchStrategy[Link] = st.builds(
    Link,
    type=st.just(LinkType.PHYS),
    physical=st.builds(
        PhysicalSpec,
        channel_att_db=maybe(decimals),
        wavelength=maybe(channels),
        role=maybe(st.sampled_from(Role)),
        distance_km=maybe(decimals.map(abs)),
    ),
    performance=physical_figures,
    **_link_common,
)
untyped_links: SearchStrategy[Link] = st.builds(Link, performance=rates, **_link_common)
links = virtual_links | physical_links | untyped_links
nodes: SearchStrategy[Node] = st.builds(
    Node,
    node_id=node_ids,
    status=maybe(st.sampled_from(NodeStatus)),
    version=maybe(texts),
    location_id=texts,
    capabilities=st.builds(Capabilities),
    trust_level=st.sampled_from(TrustLevel),
    consumers=several(sae_ids),
    interfaces=st.lists(interfaces, max_size=2, unique_by=lambda found: found.interface_id).map(tuple),
    links=st.lists(links, max_size=3, unique_by=lambda found: found.link_id).map(tuple),
    applications=st.lists(applications, max_size=2, unique_by=lambda found: found.app_id).map(tuple),
)

_link_reports = st.builds(
    LinkReport,
    link_id=maybe(link_ids),
    status=maybe(st.sampled_from(LinkStatus)),
    message=maybe(texts),
    severity=maybe(st.sampled_from(Severity)),
    concern=maybe(st.sampled_from(Concern)),
)
_interface_reports = st.builds(
    InterfaceReport,
    interface_id=maybe(interface_ids),
    status=maybe(st.sampled_from(InterfaceStatus)),
    message=maybe(texts),
    severity=maybe(st.sampled_from(Severity)),
)
_application_words = {
    "app_id": maybe(app_ids),
    "status": maybe(st.sampled_from(AppStatus)),
    "message": maybe(texts),
    "severity": maybe(st.sampled_from(Severity)),
    "origin": maybe(st.sampled_from(KeyOrigin)),
}
_last_periods = st.lists(statistics, max_size=2, unique_by=lambda row: row.end_time).map(tuple)
_report = {"link": maybe(_link_reports), "interface": maybe(_interface_reports)}
_alarm_application = maybe(st.builds(ApplicationReport, **_application_words))
_event_application = maybe(st.builds(ApplicationReport, **_application_words, last_periods=_last_periods))
notifications: SearchStrategy[Notification] = st.one_of(
    st.builds(
        ApplicationNew,
        app_type=maybe(st.sampled_from(AppType)),
        server_app_id=maybe(sae_ids),
        client_app_ids=several(sae_ids),
        priority=uint32,
        local_node_id=maybe(node_ids),
        qos=qos,
        app_id=maybe(app_ids),
        key_mode=maybe(st.sampled_from(KeyMode)),
    ),
    st.builds(ApplicationQosUpdate, app_id=maybe(app_ids), qos=qos, priority=uint32),
    st.builds(ApplicationDisconnected, app_id=maybe(app_ids)),
    interfaces.map(
        lambda found: InterfaceNew(
            interface=Interface(
                **{name: getattr(found, name) for name in Interface.__slots__ if name != "status"}
            )
        )
    ),
    st.builds(InterfaceDown, interface_id=maybe(interface_ids), reason=maybe(texts)),
    st.builds(InterfaceOut, interface_id=maybe(interface_ids)),
    st.builds(LinkDown, link_id=maybe(link_ids), reason=maybe(texts)),
    st.builds(LinkPerfUpdate, link_id=maybe(link_ids), performance=physical_figures),
    st.builds(LinkOverloaded, link_id=maybe(link_ids), performance=rates),
    st.builds(Alarm, **_report, application=_alarm_application),
    st.builds(Event, **_report, application=_event_application),
)
