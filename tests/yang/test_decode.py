"""Reading what nodes say: of every shape, from every maker, and from liars."""

from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree
from tests.yang.samples import (
    ALPHA,
    BETA,
    FIBRE,
    GAMMA,
    NODE,
    STREAM,
    app_xml,
    link_xml,
    node_xml,
    parse,
    wire,
)

from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import Application, RelayMethod
from keyweave_core.model.link import Link, LinkStatus, LinkType, Technology
from keyweave_core.model.node import TrustLevel
from keyweave_core.model.notifications import Alarm, ApplicationNew, InterfaceNew, LinkDown, LinkPerfUpdate
from keyweave_yang.decode import (
    Entries,
    decode_configuration,
    decode_node,
    decode_notification,
    decode_refusal,
)
from keyweave_yang.encode import encode_configuration, encode_node, encode_refusal
from keyweave_yang.namespaces import ETSI_NODE, ETSI_TYPES
from keyweave_yang.reading import MAX_FAULTS, Faults

PHYS = "<qkdl_type>t:PHYS</qkdl_type>"
VIRT = "<qkdl_type>t:VIRT</qkdl_type>"


def _link(inner: str, **options: Any) -> tuple[Link, tuple[str, ...]]:
    node, faults = decode_node(link_xml(inner), **options)
    return node.links[0], faults


def _app(inner: str) -> tuple[Application, tuple[str, ...]]:
    node, faults = decode_node(app_xml(inner))
    return node.applications[0], faults


def test_the_tree_is_found_wherever_it_stands() -> None:
    sent = encode_node(NODE)
    reply = parse('<rpc-reply xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><data/></rpc-reply>')
    reply[0].append(wire(sent))
    assert decode_node(sent)[0] == NODE
    assert decode_node([wire(sent)])[0] == NODE
    assert decode_node(reply)[0] == NODE
    assert decode_node(reply[0])[0] == NODE


@pytest.mark.parametrize(
    "data", ["<data/>", '<qkd_node xmlns="urn:etsi:qkd:yang:etsi-qkd-sdn-node"/>', "<qkd_node/>"]
)
def test_no_tree_is_an_error(data: str) -> None:
    with pytest.raises(SchemaViolation, match="no qkd_node"):
        decode_node(parse(data))
    with pytest.raises(SchemaViolation):
        decode_node([])


@pytest.mark.parametrize("node_id", ["", "  ", "no-uuid", ALPHA + "0"])
def test_no_node_id_is_an_error(node_id: str) -> None:
    with pytest.raises(SchemaViolation, match="qkdn_id") as caught:
        decode_node(node_xml(node_id=node_id))
    assert caught.value.tag == "data-missing"


def test_the_least_a_node_can_say() -> None:
    node, faults = decode_node(node_xml(node_id=f" {ALPHA.upper()} "))
    assert (node.node_id, faults) == (ALPHA, ())
    assert node.location_id == ""
    assert node.capabilities.key_relay_mode_enable


@pytest.mark.parametrize(
    ("inner", "look", "kept", "where"),
    [
        (
            PHYS + "<phys_channel_att>much</phys_channel_att>",
            "physical.channel_att_db",
            None,
            "phys_channel_att",
        ),
        (
            PHYS + "<phys_channel_att>inf</phys_channel_att>",
            "physical.channel_att_db",
            None,
            "phys_channel_att",
        ),
        (PHYS + "<phys_wavelength>10000</phys_wavelength>", "physical.wavelength", None, "phys_wavelength"),
        (PHYS + "<k:distance-km>-3</k:distance-km>", "physical.distance_km", None, "distance-km"),
        (VIRT + "<virt_bandwidth>fast</virt_bandwidth>", "virtual.bandwidth_bps", None, "virt_bandwidth"),
        (VIRT + "<virt_prev_hop>left</virt_prev_hop>", "virtual.prev_hop", None, "virt_prev_hop"),
        ("<qkdl_type>t:RADIO</qkdl_type>", "type", None, "qkdl_type"),
        ("<qkdl_type xmlns:v='urn:vendor'>v:PHYS</qkdl_type>", "type", None, "qkdl_type"),
        ("<qkdl_enable>yes</qkdl_enable>", "enable", True, "qkdl_enable"),
        ("<qkdl_enable>false</qkdl_enable>" * 2, "enable", False, "qkdl_enable"),
        ("<qkdl_local><qkdi_id>3</qkdi_id></qkdl_local>", "local", None, "qkdl_local"),
        ("<qkdl_applications>mine</qkdl_applications>", "applications", (), "qkdl_applications"),
        ("<k:key-pool><k:stored-bits>5</k:stored-bits></k:key-pool>", "pool", None, "key-pool"),
        ("<qkdl_performance><skr>1e12</skr></qkdl_performance>", "performance.skr_bps", None, "skr"),
        ("<qkdl_performance><skr>1000000000000</skr></qkdl_performance>", "performance.skr_bps", None, "skr"),
        ("<qkdl_performance><skr>-5</skr></qkdl_performance>", "performance.skr_bps", None, "skr"),
    ],
)
def test_an_impossible_value_is_dropped_and_told(inner: str, look: str, kept: object, where: str) -> None:
    link, faults = _link(inner)
    value: object = link
    for name in look.split("."):
        value = getattr(value, name)
    assert value == kept
    assert len(faults) == 1
    assert faults[0].startswith(f"qkd_node/qkd_links/qkd_link[{FIBRE}]/")
    assert where in faults[0]


@pytest.mark.parametrize(
    ("percent", "ratio"), [("-1", None), ("100.001", None), ("0", 0.0), ("2.13", 0.0213)]
)
def test_qber_is_a_percentage_on_the_wire(percent: str, ratio: float | None) -> None:
    row = f"<phys_perf><perf_type>t:QBER</perf_type><value>{percent}</value></phys_perf>"
    link, faults = _link(f"{PHYS}<qkdl_performance>{row}</qkdl_performance>")
    assert link.performance.qber == ratio
    assert len(faults) == (ratio is None)


def test_qber_is_written_as_a_percentage() -> None:
    value = encode_node(NODE).find(".//{*}phys_perf/{*}value")
    assert value is not None
    assert value.text == "2.13"


def test_an_entry_without_a_usable_key_is_dropped_alone() -> None:
    entries = (
        "<qkd_link><qkdl_id>one</qkdl_id></qkd_link><qkd_link/>"
        f"<qkd_link><qkdl_id>{FIBRE}</qkdl_id>{PHYS}</qkd_link>"
        f"<qkd_link><qkdl_id>{FIBRE.upper()}</qkdl_id>{VIRT}</qkd_link>"
    )
    apps = "<qkd_app><app_id/></qkd_app>"
    modules = "<qkd_interface><qkdi_id>-1</qkdi_id></qkd_interface>"
    node, faults = decode_node(
        node_xml(
            f"<qkd_applications>{apps}</qkd_applications><qkd_interfaces>{modules}</qkd_interfaces>"
            f"<qkd_links>{entries}</qkd_links>"
        )
    )
    assert [(link.link_id, link.type) for link in node.links] == [(FIBRE, LinkType.PHYS)]
    assert node.applications == ()
    assert node.interfaces == ()
    assert sum("dropped" in fault for fault in faults) == 4
    assert sum("more than once" in fault for fault in faults) == 1


def test_other_makers_are_understood() -> None:
    # no prefix; a prefix nobody declared; the wrong one of the two namespaces of ETSI
    for text in ("PHYS", "etsi-qkdn-types:PHYS", "e:PHYS"):
        leaf = f'<qkdl_type xmlns:e="urn:etsi:qkd:yang:etsi-qkd-node">{text}</qkdl_type>'
        link, faults = _link(leaf)
        assert (link.type, faults) == (LinkType.PHYS, ())
    # the published `when` hides nothing, so leaves of the other type may be there
    link, faults = _link(VIRT + "<phys_wavelength>34</phys_wavelength>")
    assert (link.physical, faults) == (None, ())
    # all remaining nodes as next hops, and nodes of other modules
    hops = f"<virt_next_hop>{BETA}</virt_next_hop><virt_next_hop>{GAMMA}</virt_next_hop>"
    link, faults = _link(VIRT + hops + '<qkdl_auth_status xmlns="urn:vendor">AUTHORIZED</qkdl_auth_status>')
    assert link.virtual is not None
    assert link.virtual.next_hops == (BETA, GAMMA)
    assert faults == ()


def test_written_and_observed_status_are_kept_apart() -> None:
    inner = "<qkdl_status>t:ACTIVE</qkdl_status>"
    observed, _ = _link(inner)
    assert (observed.status, observed.requested_status) == (LinkStatus.ACTIVE, None)
    wished, _ = _link(inner, configuration=True)
    assert (wished.status, wished.requested_status) == (None, LinkStatus.ACTIVE)


def test_statistics_and_times() -> None:
    usage = (
        f"<k:path-usage><k:link-id>{FIBRE}</k:link-id><k:delivered-bits>256</k:delivered-bits></k:path-usage>"
    )
    app, faults = _app(
        "<creation_time>yesterday</creation_time><app_statistics>"
        f"<statistics><end_time>2026-11-21T09:00:00Z</end_time>{usage}</statistics>"
        "<statistics><consumed_bits>5</consumed_bits></statistics></app_statistics>"
    )
    assert app.creation_time is None
    assert [row.end_time for row in app.statistics] == ["2026-11-21T09:00:00Z"]
    assert app.statistics[0].paths == ()
    assert len(faults) == 3


def test_an_unreadable_trust_level_is_no_trust() -> None:
    node, faults = decode_node(node_xml("<k:trust-level>very</k:trust-level>"))
    assert node.trust_level is TrustLevel.UNTRUSTED
    assert len(faults) == 1


def test_the_list_of_faults_is_bounded_and_its_texts_are() -> None:
    entry = f"<qkd_link><qkdl_id>{'x' * 5000}</qkdl_id></qkd_link>"
    _, faults = decode_node(node_xml(f"<qkd_links>{entry * 200}</qkd_links>"))
    assert len(faults) == MAX_FAULTS + 1
    assert faults[-1] == "and 300 more faults"
    assert max(map(len, faults)) < 250


def test_our_own_configuration_is_read_strictly() -> None:
    sent = encode_configuration(NODE)
    assert decode_configuration([sent]) == decode_configuration(sent)
    good = link_xml(VIRT + "<k:relay-method>k:one-time-pad</k:relay-method>")
    assert decode_configuration(good).links[0].relay_method is RelayMethod.OTP
    with pytest.raises(SchemaViolation, match="virt_bandwidth"):
        decode_configuration(link_xml(VIRT + "<virt_bandwidth>fast</virt_bandwidth>"))
    with pytest.raises(SchemaViolation, match="qkdl_type"):
        decode_configuration(link_xml("<qkdl_type>PHYS</qkdl_type>"))


def _notification(inner: str) -> etree._Element:
    return parse(
        '<notification xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0" '
        'xmlns:q="urn:etsi:qkd:yang:etsi-qkd-node" xmlns:t="urn:etsi:qkd:yang:etsi-qkd-node-types" '
        f'xmlns:k="urn:keyweave:yang:keyweave-qkd-node"><eventTime>2026-11-21T09:00:00Z</eventTime>{inner}'
        "</notification>"
    )


def test_notifications_in_their_envelope() -> None:
    down = _notification(
        f"<q:sdqkdn_link_down><q:qkd_link><q:qkdl_id>{FIBRE}</q:qkdl_id><q:reason>cut</q:reason>"
        "</q:qkd_link></q:sdqkdn_link_down>"
    )
    assert decode_notification(down) == LinkDown(link_id=FIBRE, reason="cut")
    asks = _notification(
        "<q:sdqkdn_application_new><q:qkd_application><q:app_type>t:CLIENT</q:app_type>"
        f"<q:local_qkdn_id>{ALPHA}</q:local_qkdn_id><k:app-id>{STREAM}</k:app-id>"
        "</q:qkd_application></q:sdqkdn_application_new>"
    )
    found = decode_notification(asks)
    assert isinstance(found, ApplicationNew)
    assert (found.app_id, found.local_node_id, found.server_app_id) == (STREAM, ALPHA, None)
    module = _notification(
        "<q:sdqkdn_interface_new><q:qkd_interface><q:qkdi_id>3</q:qkdi_id><q:qkdi_type>t:CV-QKD</q:qkdi_type>"
        "</q:qkd_interface></q:sdqkdn_interface_new>"
    )
    new = decode_notification(module)
    assert isinstance(new, InterfaceNew)
    assert new.interface.technology is Technology.CV_QKD


def test_a_notification_may_say_nothing_or_nonsense() -> None:
    assert decode_notification(_notification("<q:sdqkdn_link_down/>")) == LinkDown()
    assert decode_notification(_notification("<q:alarm/>")) == Alarm()
    faults = Faults()
    inner = "<q:qkd_link><q:qkdl_id>that one</q:qkdl_id><q:performance><q:skr>1e12</q:skr></q:performance>"
    lie = _notification(f"<q:sdqkdn_link_perf_update>{inner}</q:qkd_link></q:sdqkdn_link_perf_update>")
    assert decode_notification(lie, faults) == LinkPerfUpdate()
    assert len(faults.texts()) == 2


@pytest.mark.parametrize(
    "inner", ["", "<q:sdqkdn_link_up/>", "<x xmlns='urn:x'/>", "<q:sdqkdn_interface_new/>"]
)
def test_what_is_no_notification_of_015(inner: str) -> None:
    with pytest.raises(SchemaViolation):
        decode_notification(_notification(inner))
    with pytest.raises(SchemaViolation):
        decode_notification(parse("<alarm xmlns='urn:x'/>"))


def test_refusals() -> None:
    refusal = decode_refusal(
        wire(encode_refusal(NODE.consumers[0], (), ("link x lacks 5 bit/s", "bell \x07 rings")))
    )
    assert refusal.server_app_id == "sae-a"
    assert refusal.reasons == ("link x lacks 5 bit/s", "bell � rings")
    with pytest.raises(SchemaViolation):
        decode_refusal(parse("<refuse-application/>"))
    with pytest.raises(SchemaViolation, match="server-app-id"):
        decode_refusal(parse('<refuse-application xmlns="urn:keyweave:yang:keyweave-qkd-node"/>'))


@pytest.mark.parametrize("reader", [decode_node, decode_configuration])
def test_prefixes_do_not_matter(reader: Callable[..., Any]) -> None:
    text = etree.tostring(encode_configuration(NODE)).decode()
    other = text.replace("xmlns:etsi-qkd-node-types", "xmlns:zz").replace(">etsi-qkd-node-types:", ">zz:")
    assert "zz:PHYS" in other
    assert reader(parse(other)) == reader(parse(text))


def test_entries_that_were_read_before_read_the_same(xml_of_links: Callable[..., etree._Element]) -> None:
    entries = Entries()
    for links in ([1, 2], [2, 3], [2, 3], [], [1]):
        tree = xml_of_links(links)
        assert decode_configuration(tree, entries) == decode_configuration(tree)
    with pytest.raises(SchemaViolation):
        decode_configuration(xml_of_links([1, 7], capacity="much"), entries)
    assert decode_configuration(xml_of_links([1]), entries) == decode_configuration(xml_of_links([1]))


@pytest.fixture
def xml_of_links() -> Callable[..., etree._Element]:
    def make(numbers: list[int], capacity: str = "5") -> etree._Element:
        links = "".join(
            f"<qkd_link><qkdl_id>11111111-0000-4000-8000-{n:012d}</qkdl_id>"
            f"<qkdl_type xmlns:t='{ETSI_TYPES}'>t:VIRT</qkdl_type>"
            f"<virt_bandwidth>{capacity}</virt_bandwidth></qkd_link>"
            for n in numbers
        )
        return etree.fromstring(
            f"<qkd_node xmlns='{ETSI_NODE}'><qkdn_id>aaaaaaaa-0000-4000-8000-000000000000</qkdn_id>"
            f"<qkd_links>{links}</qkd_links></qkd_node>"
        )

    return make
