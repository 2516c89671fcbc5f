"""The node that NETCONF servers are measured with: 10 links and 20 applications, and the messages about them.

Only plain GS QKD 015 is used, so that every server with the ETSI modules can take part.
"""

from dataclasses import replace

from lxml import etree

from keyweave_core.model.application import Application, AppQos, AppStatistics, AppStatus, AppType
from keyweave_core.model.ids import AppId, InterfaceId, LinkId, NodeId, SaeId
from keyweave_core.model.link import (
    Endpoint,
    Interface,
    InterfaceStatus,
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
from keyweave_yang.encode import encode_configuration

LINKS, APPLICATIONS, MANY = 10, 20, 5000
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
TYPES = "urn:etsi:qkd:yang:etsi-qkd-node-types"
HERE = NodeId("aaaaaaaa-0000-4000-8000-000000000001")
THERE = NodeId("bbbbbbbb-0000-4000-8000-000000000002")
SUBSCRIBE = '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0"/>'
COMMIT = "<commit/>"


def link_id(number: int) -> LinkId:
    """Id of the n-th link."""
    return LinkId(f"11111111-0000-4000-8000-{number:012d}")


def app_id(number: int) -> AppId:
    """Id of the n-th application."""
    return AppId(f"22222222-0000-4000-8000-{number:012d}")


def node(node_id: NodeId = HERE) -> Node:
    """The node with everything it observes."""
    fibres = LINKS // 2
    return Node(
        node_id=node_id,
        status=NodeStatus.OPERATING,
        version="1.0",
        location_id="rack 1",
        interfaces=tuple(_interface(number) for number in range(fibres)),
        links=tuple(_fibre(number) if number < fibres else _route(number) for number in range(LINKS)),
        applications=tuple(_application(number) for number in range(APPLICATIONS)),
    )


def configuration(node_id: NodeId = HERE) -> str:
    """Its configuration as the text of <qkd_node>."""
    return etree.tostring(encode_configuration(node(node_id)), encoding="unicode")


def get(inner: str = "") -> str:
    """<get> of the node, or of what a filter inside it selects."""
    return f'<get><filter type="subtree"><qkd_node xmlns="{ETSI}">{inner}</qkd_node></filter></get>'


def get_config(inner: str = "") -> str:
    """<get-config> of the node, or of what a filter inside it selects."""
    selection = f'<filter type="subtree"><qkd_node xmlns="{ETSI}">{inner}</qkd_node></filter>'
    return f"<get-config><source><running/></source>{selection}</get-config>"


def one_link(number: int) -> str:
    """The filter that selects one link."""
    return f"<qkd_links><qkd_link><qkdl_id>{link_id(number)}</qkdl_id></qkd_link></qkd_links>"


def edit(target: str, config: str) -> str:
    """<edit-config> of a whole <qkd_node> given as text."""
    return f"<edit-config><target><{target}/></target><config>{config}</config></edit-config>"


def leaf_edit(target: str, number: int, turn: int) -> str:
    """Another wish for the attenuation of a fibre each turn."""
    value = f"{4 + turn % 2}.5"
    inner = f"<qkdl_id>{link_id(number % (LINKS // 2))}</qkdl_id><phys_channel_att>{value}</phys_channel_att>"
    return edit(target, _inside(f"<qkd_links><qkd_link>{inner}</qkd_link></qkd_links>"))


def application_edit(target: str, number: int, turn: int) -> str:
    """One application put whole, with another time to live each turn."""
    entry = replace(_application(number), qos=AppQos(min_bandwidth_bps=1000, ttl_s=60 + turn % 2))
    whole = encode_configuration(Node(node_id=HERE, applications=(entry,)))
    app = whole.find(f".//{{{ETSI}}}qkd_app")
    assert app is not None
    app.set(f"{{{BASE}}}operation", "replace")
    text = etree.tostring(app, encoding="unicode")
    return edit(target, _inside(f"<qkd_applications>{text}</qkd_applications>"))


def many_applications(target: str) -> str:
    """MANY applications in one edit."""
    entries = "".join(
        f"<qkd_app><app_id>33333333-0000-4000-8000-{number:012d}</app_id><app_type>t:CLIENT</app_type>"
        f"<server_app_id>sae-{number}</server_app_id><client_app_id>sae-far-{number}</client_app_id>"
        f"<app_priority>1</app_priority></qkd_app>"
        for number in range(MANY)
    )
    return edit(target, _inside(f"<qkd_applications>{entries}</qkd_applications>"))


def fewer_applications(target: str) -> str:
    """Every application taken away again."""
    return edit(target, _inside('<qkd_applications nc:operation="remove"/>'))


def _inside(inner: str) -> str:
    return f'<qkd_node xmlns="{ETSI}" xmlns:t="{TYPES}" xmlns:nc="{BASE}">{inner}</qkd_node>'


def _interface(number: int) -> Interface:
    return Interface(
        interface_id=InterfaceId(number),
        model="bench",
        technology=Technology.DV_QKD,
        role_support=Role.TRANSMITTER,
        max_absorption_db=30.0,
        status=InterfaceStatus.ENABLED,
    )


def _fibre(number: int) -> Link:
    return Link(
        link_id=link_id(number),
        type=LinkType.PHYS,
        status=LinkStatus.ACTIVE,
        local=Endpoint(node_id=HERE, interface_id=InterfaceId(number)),
        remote=Endpoint(node_id=THERE, interface_id=InterfaceId(number)),
        physical=PhysicalSpec(channel_att_db=4.5, wavelength=34, role=Role.TRANSMITTER),
        performance=LinkPerformance(
            expected_consumption_bps=4096, skr_bps=24_000, eskr_bps=19_904, qber=0.0213, snr_db=17.5
        ),
    )


def _route(number: int) -> Link:
    return Link(
        link_id=link_id(number),
        type=LinkType.VIRT,
        status=LinkStatus.ACTIVE,
        local=Endpoint(node_id=HERE),
        remote=Endpoint(node_id=THERE),
        applications=(app_id(number),),
        virtual=VirtualSpec(next_hops=(THERE,), bandwidth_bps=4096),
        performance=LinkPerformance(expected_consumption_bps=4096, skr_bps=4096),
    )


def _application(number: int) -> Application:
    return Application(
        app_id=app_id(number),
        type=AppType.CLIENT,
        status=AppStatus.ON,
        server_app_id=SaeId(f"sae-here-{number}"),
        client_app_ids=(SaeId(f"sae-there-{number}"),),
        priority=5,
        creation_time="2026-11-21T08:00:00Z",
        statistics=(
            AppStatistics(
                end_time="2026-11-21T09:00:00Z", start_time="2026-11-21T08:00:00Z", consumed_bits=25_600
            ),
        ),
        qos=AppQos(max_bandwidth_bps=8192, min_bandwidth_bps=4096, ttl_s=60),
        backing_link_ids=(link_id(LINKS // 2 + number % (LINKS // 2)),),
        local_node_id=HERE,
        remote_node_id=THERE,
    )
