"""XML of the controller's datastore, as operators write and read it."""

from lxml import etree
from tests.yang.samples import parse

KWN = "urn:keyweave:yang:keyweave-qkd-network"
KWA = "urn:keyweave:yang:keyweave-qkd-alarms"
NW = "urn:ietf:params:xml:ns:yang:ietf-network"
NT = "urn:ietf:params:xml:ns:yang:ietf-network-topology"
AL = "urn:ietf:params:xml:ns:yang:ietf-alarms"
NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"

ALPHA = "00000000-0000-4000-8000-00000000000a"
BETA = "00000000-0000-4000-8000-00000000000b"
FIBRE = "11111111-0000-4000-8000-000000000001"
PATH = "22222222-0000-4000-8000-000000000001"
STREAM = "33333333-0000-4000-8000-000000000001"


def kwn(name: str, inner: str = "") -> etree._Element:
    """A top-level element, rpc or notification of keyweave-qkd-network."""
    return parse(f'<{name} xmlns="{KWN}">{inner}</{name}>')


def association(
    inner: str = "", *, name: str = "backup", source: str = "sae-a", destination: str = "sae-d"
) -> str:
    """Text of one configured association."""
    return (
        f"<association><name>{name}</name><source>{source}</source>"
        f"<destination>{destination}</destination>{inner}</association>"
    )


def associations(*entries: str) -> etree._Element:
    """`key-associations` with these entries."""
    return kwn("key-associations", "".join(entries))


def tenant(name: str, *applications: str, inner: str = "") -> str:
    """Text of one tenant."""
    held = "".join(f"<application>{one}</application>" for one in applications)
    return f"<tenant><name>{name}</name>{held}{inner}</tenant>"


def tenants(*entries: str) -> etree._Element:
    """`tenants` with these entries."""
    return kwn("tenants", "".join(entries))


def topology(node_facts: str = "", link_facts: str = "", port_facts: str = "", *, qkd: bool = True) -> str:
    """Text of a network of two nodes and one direction of a link between them."""
    kind = f'<network-types><qkd-network xmlns="{KWN}"/></network-types>' if qkd else ""

    def facts(inner: str) -> str:
        return f'<qkd xmlns="{KWN}">{inner}</qkd>' if inner else ""

    return (
        f'<networks xmlns="{NW}"><network><network-id>qkd</network-id>{kind}'
        f'<node><node-id>{ALPHA}</node-id><termination-point xmlns="{NT}"><tp-id>1</tp-id>'
        f"{facts(port_facts)}</termination-point>{facts(node_facts)}</node>"
        f"<node><node-id>{BETA}</node-id></node>"
        f'<link xmlns="{NT}"><link-id>{FIBRE}/{ALPHA}</link-id>'
        f"<source><source-node>{ALPHA}</source-node><source-tp>1</source-tp></source>"
        f"<destination><dest-node>{BETA}</dest-node></destination>{facts(link_facts)}</link>"
        "</network></networks>"
    )


CONFIGURATION = (
    associations(
        association("<tenant>bank</tenant><qos><min-bandwidth-bps>2048</min-bandwidth-bps></qos>"),
        association("<priority>7</priority>", name="main", source="sae-b"),
    ),
    kwn("policy", "<usable-share>0.8</usable-share>"),
    tenants(tenant("bank", "sae-a", "sae-b"), tenant("city", "sae-c")),
    kwn("tariff", "<per-mbit>0.12</per-mbit>"),
    parse(
        f'<alarms xmlns="{AL}"><control><notify-status-changes>severity-level</notify-status-changes>'
        "<notify-severity-level>major</notify-severity-level></control></alarms>"
    ),
    parse(
        f'<nacm xmlns="{NACM}"><enable-nacm>true</enable-nacm><rule-list><name>all</name>'
        "<group>admin</group><rule><name>1</name><module-name>*</module-name><action>permit</action></rule>"
        "</rule-list></nacm>"
    ),
)
"""A configuration that is valid."""
