"""A node as its agent would tell of it, and small ways to make XML for the tests of this folder."""

from lxml import etree

from keyweave_core.model.application import (
    Application,
    AppQos,
    AppStatistics,
    AppStatus,
    AppType,
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
    Role,
    Technology,
    VirtualSpec,
)
from keyweave_core.model.node import Node, NodeStatus

ALPHA = NodeId("00000000-0000-4000-8000-00000000000a")
BETA = NodeId("00000000-0000-4000-8000-00000000000b")
GAMMA = NodeId("00000000-0000-4000-8000-00000000000c")
FIBRE = LinkId("11111111-0000-4000-8000-000000000001")
PATH = LinkId("22222222-0000-4000-8000-000000000001")
STREAM = AppId("33333333-0000-4000-8000-000000000001")

PHYSICAL = Link(
    link_id=FIBRE,
    type=LinkType.PHYS,
    status=LinkStatus.ACTIVE,
    local=Endpoint(node_id=ALPHA, interface_id=InterfaceId(1)),
    remote=Endpoint(node_id=BETA, interface_id=InterfaceId(7)),
    physical=PhysicalSpec(channel_att_db=4.2, wavelength=34, role=Role.TRANSMITTER, distance_km=21.5),
    performance=LinkPerformance(
        expected_consumption_bps=4096, skr_bps=24_000, eskr_bps=19_904, qber=0.0213, snr_db=17.5
    ),
    pool=KeyPool(stored_bits=5_000_000_000, capacity_bits=2**36, oldest_age_s=90),
)
VIRTUAL = Link(
    link_id=PATH,
    type=LinkType.VIRT,
    status=LinkStatus.ACTIVE,
    local=Endpoint(node_id=ALPHA),
    remote=Endpoint(node_id=GAMMA),
    applications=(STREAM,),
    virtual=VirtualSpec(next_hops=(BETA,), bandwidth_bps=4096),
    relay_method=RelayMethod.OTP,
)
ASSOCIATION = Application(
    app_id=STREAM,
    type=AppType.CLIENT,
    status=AppStatus.ON,
    server_app_id=SaeId("sae-a"),
    client_app_ids=(SaeId("sae-c"),),
    priority=5,
    creation_time="2026-11-21T08:00:00Z",
    statistics=(
        AppStatistics(
            end_time="2026-11-21T09:00:00Z",
            start_time="2026-11-21T08:00:00Z",
            consumed_bits=25_600,
            paths=(PathUsage(link_id=PATH, delivered_bits=25_600, delivered_keys=100),),
        ),
    ),
    qos=AppQos(max_bandwidth_bps=8192, min_bandwidth_bps=4096, ttl_s=60),
    backing_link_ids=(PATH,),
    local_node_id=ALPHA,
    remote_node_id=GAMMA,
)
NODE = Node(
    node_id=ALPHA,
    status=NodeStatus.OPERATING,
    version="1.0",
    location_id="cellar",
    consumers=(SaeId("sae-a"),),
    interfaces=(
        Interface(
            interface_id=InterfaceId(1),
            model="emulated",
            technology=Technology.DV_QKD,
            device="switch-1",
            port=3,
            role_support=Role.TRANSMITTER,
            wavelength_range="1,12-20,40",
            max_absorption_db=30.0,
            status=InterfaceStatus.ENABLED,
        ),
    ),
    links=(PHYSICAL, VIRTUAL),
    applications=(ASSOCIATION,),
)

_HEAD = (
    '<qkd_node xmlns="urn:etsi:qkd:yang:etsi-qkd-node" '
    'xmlns:t="urn:etsi:qkd:yang:etsi-qkd-node-types" xmlns:k="urn:keyweave:yang:keyweave-qkd-node">'
)


def parse(text: str) -> etree._Element:
    """XML as it comes from the wire."""
    return etree.fromstring(text.encode())


def node_xml(inner: str = "", *, node_id: str = ALPHA) -> etree._Element:
    """A qkd_node with an id (none for '') and `inner`; prefix t is the identities, k the augments."""
    leaf = f"<qkdn_id>{node_id}</qkdn_id>" if node_id else ""
    return parse(f"{_HEAD}{leaf}{inner}</qkd_node>")


def link_xml(inner: str, *, link_id: str = FIBRE) -> etree._Element:
    """A node with one link."""
    return node_xml(f"<qkd_links><qkd_link><qkdl_id>{link_id}</qkdl_id>{inner}</qkd_link></qkd_links>")


def app_xml(inner: str, *, app_id: str = STREAM) -> etree._Element:
    """A node with one application."""
    return node_xml(
        f"<qkd_applications><qkd_app><app_id>{app_id}</app_id>{inner}</qkd_app></qkd_applications>"
    )


def wire(element: etree._Element) -> etree._Element:
    """The element after a trip over the wire."""
    return etree.fromstring(etree.tostring(element))
