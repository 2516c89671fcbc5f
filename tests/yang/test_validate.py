"""What a validating server refuses, with the path and the error-tag that the peer is told."""

import pytest
from tests.yang.samples import ALPHA, FIBRE, NODE, PATH, app_xml, link_xml, node_xml, parse, wire

from keyweave_core.errors import SchemaViolation
from keyweave_core.netconf.ports import Kind, Schema
from keyweave_yang.encode import encode_configuration, encode_node, encode_refusal, encode_state
from keyweave_yang.namespaces import QKD_NODE, etsi
from keyweave_yang.schema import ModelSchema, load_schema

NODE_PATH = "/etsi-qkd-sdn-node:qkd_node"
LINK_PATH = (
    f"{NODE_PATH}/etsi-qkd-sdn-node:qkd_links/etsi-qkd-sdn-node:qkd_link[etsi-qkd-sdn-node:qkdl_id='{FIBRE}']"
)
PHYS = "<qkdl_type>t:PHYS</qkdl_type>"
VIRT = "<qkdl_type>t:VIRT</qkdl_type>"


@pytest.fixture(scope="module")
def schema() -> ModelSchema:
    return load_schema("agent")


def test_it_is_the_contract_of_the_server(schema: ModelSchema) -> None:
    contract: Schema = schema
    assert contract.content_id == load_schema("agent").content_id
    assert load_schema("agent") is schema


def test_a_whole_node_is_valid(schema: ModelSchema) -> None:
    schema.validate([wire(encode_configuration(NODE))])
    schema.validate_data([wire(encode_node(NODE))])
    schema.validate_state([wire(encode_state(NODE))])


@pytest.mark.parametrize(
    "inner",
    [
        VIRT + f"<virt_prev_hop>{ALPHA}</virt_prev_hop><virt_bandwidth>5</virt_bandwidth>",
        PHYS + "<phys_channel_att>3.125</phys_channel_att><phys_wavelength>9999</phys_wavelength>",
        PHYS + "<k:distance-km>80.5</k:distance-km>",
        VIRT + "<k:relay-method>k:one-time-pad</k:relay-method>",
        "<qkdl_enable> true </qkdl_enable>",
        "<qkdl_enable><!-- why --> false<!-- not --></qkdl_enable>",
        f"<qkdl_applications>{ALPHA.upper()}</qkdl_applications>",
        f"<qkdl_applications>{PATH}</qkdl_applications>",  # no leafref: a dangling id is fine
        "<qkdl_status>t:ACTIVE</qkdl_status>",  # writable: a wish
        "<qkdl_type xmlns:other='urn:etsi:qkd:yang:etsi-qkd-node-types'>other:VIRT</qkdl_type>",
    ],
)
def test_accepted_in_a_link(schema: ModelSchema, inner: str) -> None:
    schema.validate([link_xml(inner)])


@pytest.mark.parametrize(
    ("inner", "tag", "leaf", "reason"),
    [
        # 015 allows virt_* on VIRT and phys_* on PHYS only, and nothing of either before the type is known
        (VIRT + "<phys_wavelength>34</phys_wavelength>", "unknown-element", "phys_wavelength", "when"),
        (PHYS + "<virt_bandwidth>1</virt_bandwidth>", "unknown-element", "virt_bandwidth", "when"),
        ("<virt_bandwidth>1</virt_bandwidth>", "unknown-element", "virt_bandwidth", "when"),
        (VIRT + "<k:distance-km>1</k:distance-km>", "unknown-element", "k:distance-km", "when"),
        (
            PHYS + "<k:relay-method>k:one-time-pad</k:relay-method>",
            "unknown-element",
            "k:relay-method",
            "when",
        ),
        # patterns and ranges
        (PHYS + "<phys_wavelength>1550.12</phys_wavelength>", "invalid-value", "phys_wavelength", "1550.12"),
        (PHYS + "<phys_wavelength>0</phys_wavelength>", "invalid-value", "phys_wavelength", "wavelength"),
        (PHYS + "<phys_wavelength>10000</phys_wavelength>", "invalid-value", "phys_wavelength", "10000"),
        (PHYS + "<phys_wavelength>34\n</phys_wavelength>", "invalid-value", "phys_wavelength", "wavelength"),
        (PHYS + "<phys_channel_att>1.2345</phys_channel_att>", "invalid-value", "phys_channel_att", "1.2345"),
        (PHYS + "<phys_channel_att>NaN</phys_channel_att>", "invalid-value", "phys_channel_att", "NaN"),
        (PHYS + "<phys_channel_att>1e1</phys_channel_att>", "invalid-value", "phys_channel_att", "decimal64"),
        (PHYS + "<k:distance-km>-0.5</k:distance-km>", "invalid-value", "k:distance-km", "-0.5"),
        (VIRT + "<virt_bandwidth>4294967296</virt_bandwidth>", "invalid-value", "virt_bandwidth", "outside"),
        (VIRT + "<virt_bandwidth>-1</virt_bandwidth>", "invalid-value", "virt_bandwidth", "outside"),
        (VIRT + "<virt_bandwidth>1_000</virt_bandwidth>", "invalid-value", "virt_bandwidth", "1_000"),
        (VIRT + "<virt_bandwidth>\u0661</virt_bandwidth>", "invalid-value", "virt_bandwidth", "uint32"),
        (VIRT + "<virt_bandwidth/>", "invalid-value", "virt_bandwidth", "uint32"),
        ("<qkdl_enable>TRUE</qkdl_enable>", "invalid-value", "qkdl_enable", "neither true nor false"),
        ("<qkdl_applications>no-uuid</qkdl_applications>", "invalid-value", "qkdl_applications", "uuid"),
        # identities: the prefix must stand for the types module
        ("<qkdl_type>PHYS</qkdl_type>", "invalid-value", "qkdl_type", "QKD-LINK-TYPES"),
        ("<qkdl_type>t:CLIENT</qkdl_type>", "invalid-value", "qkdl_type", "QKD-LINK-TYPES"),
        ("<qkdl_type>t:FIBRE</qkdl_type>", "invalid-value", "qkdl_type", "QKD-LINK-TYPES"),
        ("<qkdl_type>t:QKD-LINK-TYPES</qkdl_type>", "invalid-value", "qkdl_type", "QKD-LINK-TYPES"),
        ("<qkdl_type>gone:PHYS</qkdl_type>", "invalid-value", "qkdl_type", "not declared"),
        ("<qkdl_type xmlns:u='urn:x'>u:PHYS</qkdl_type>", "invalid-value", "qkdl_type", "unknown module"),
        # shape
        ("<qkdl_enable>true</qkdl_enable>" * 2, "bad-element", "qkdl_enable", "twice"),
        ("<qkdl_enable><b/></qkdl_enable>", "bad-element", "qkdl_enable", "not elements"),
        ("<qkdl_local>text</qkdl_local>", "bad-element", "qkdl_local", "text"),
        ("<qkdl_colour>red</qkdl_colour>", "unknown-element", "", "qkdl_colour"),
        ("<x xmlns='urn:somebody'/>", "unknown-namespace", "", "urn:somebody"),
        ("<qkdl_performance><skr>1</skr></qkdl_performance>", "invalid-value", "qkdl_performance", "state"),
        ("<k:key-pool><k:stored-bits>1</k:stored-bits></k:key-pool>", "invalid-value", "k:key-pool", "state"),
    ],
)
def test_refused_in_a_link(schema: ModelSchema, inner: str, tag: str, leaf: str, reason: str) -> None:
    with pytest.raises(SchemaViolation) as caught:
        schema.validate([link_xml(inner)])
    module = "keyweave-qkd-node" if leaf.startswith("k:") else "etsi-qkd-sdn-node"
    step = f"/{module}:{leaf.removeprefix('k:')}" if leaf else ""
    assert caught.value.tag == tag
    assert caught.value.path == LINK_PATH + step
    assert reason in caught.value.reason


def test_a_next_hop_given_twice_is_refused(schema: ModelSchema) -> None:
    hops = f"<virt_next_hop>{ALPHA}</virt_next_hop>" * 2
    with pytest.raises(SchemaViolation, match="twice") as caught:
        schema.validate([link_xml(VIRT + hops)])
    assert caught.value.tag == "bad-element"


def test_an_empty_configuration_is_refused(schema: ModelSchema) -> None:
    with pytest.raises(SchemaViolation, match="qkd_node") as caught:
        schema.validate([])
    assert caught.value.tag == "data-missing"


def test_a_node_without_its_id_is_refused(schema: ModelSchema) -> None:
    with pytest.raises(SchemaViolation, match="qkdn_id") as caught:
        schema.validate([node_xml(node_id="")])
    assert (caught.value.tag, caught.value.path) == ("data-missing", NODE_PATH)


def test_entries_need_keys_of_their_own(schema: ModelSchema) -> None:
    with pytest.raises(SchemaViolation, match="qkdl_id") as caught:
        schema.validate([node_xml("<qkd_links><qkd_link/></qkd_links>")])
    assert caught.value.tag == "missing-element"
    entry = f"<qkd_link><qkdl_id>{FIBRE}</qkdl_id></qkd_link>"
    with pytest.raises(SchemaViolation, match="two list entries") as caught:
        schema.validate([node_xml(f"<qkd_links>{entry * 2}</qkd_links>")])
    assert caught.value.app_tag == "data-not-unique"


def test_one_uuid_in_two_spellings_is_one_key(schema: ModelSchema) -> None:
    entries = "".join(
        f"<qkd_link><qkdl_id>{spelling}</qkdl_id></qkd_link>"
        for spelling in ("aaaaaaaa-0000-4000-8000-000000000001", "AAAAAAAA-0000-4000-8000-000000000001")
    )
    with pytest.raises(SchemaViolation, match="two list entries"):
        schema.validate([node_xml(f"<qkd_links>{entries}</qkd_links>")])


def test_state_where_configuration_belongs(schema: ModelSchema) -> None:
    with pytest.raises(SchemaViolation, match="state of the node") as caught:
        schema.validate([app_xml("<app_status>t:ON</app_status>")])
    assert caught.value.path.endswith("/etsi-qkd-sdn-node:app_status")
    assert caught.value.tag == "invalid-value"


def test_figures_of_a_virtual_link_have_no_qber(schema: ModelSchema) -> None:
    figures = (
        "<qkdl_performance><phys_perf><perf_type>t:QBER</perf_type><value>1.0</value></phys_perf>"
        "</qkdl_performance>"
    )
    schema.validate_data([link_xml(PHYS + figures)])
    with pytest.raises(SchemaViolation, match="when"):
        schema.validate_data([link_xml(VIRT + figures)])


def test_state_rows_need_their_key(schema: ModelSchema) -> None:
    row = "<app_statistics><statistics><consumed_bits>1</consumed_bits></statistics></app_statistics>"
    with pytest.raises(SchemaViolation, match="end_time"):
        schema.validate_state([app_xml(row)])


def test_notifications(schema: ModelSchema) -> None:
    head = 'xmlns="urn:etsi:qkd:yang:etsi-qkd-node" xmlns:t="urn:etsi:qkd:yang:etsi-qkd-node-types"'
    figures = "<performance><skr>1</skr><phys_perf><perf_type>t:SNR</perf_type><value>2.5</value></phys_perf>"
    update = f"<sdqkdn_link_perf_update {head}><qkd_link>{figures}</performance></qkd_link>"
    schema.validate_notification(parse(f"{update}</sdqkdn_link_perf_update>"))
    schema.validate_notification(parse(f"<alarm {head}/>"))
    with pytest.raises(SchemaViolation, match="no notification"):
        schema.validate_notification(parse(f"<sdqkdn_link_up {head}/>"))
    # the container of the tree has another name than the one of the notification
    wrong = (
        f"<sdqkdn_link_overloaded {head}><qkd_link><qkdl_performance/></qkd_link></sdqkdn_link_overloaded>"
    )
    with pytest.raises(SchemaViolation, match="no qkdl_performance") as caught:
        schema.validate_notification(parse(wrong))
    assert caught.value.path == ("/etsi-qkd-sdn-node:sdqkdn_link_overloaded/etsi-qkd-sdn-node:qkd_link")


def test_operations(schema: ModelSchema) -> None:
    from keyweave_core.model.ids import SaeId

    schema.validate_rpc_input(encode_refusal(SaeId("a"), (SaeId("b"),), ("no way", "no way")))
    schema.validate_rpc_input(
        parse(
            '<create-subscription xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0">'
            '<filter type="subtree"><a xmlns="urn:a"/></filter></create-subscription>'
        )
    )
    refuse = '<refuse-application xmlns="urn:keyweave:yang:keyweave-qkd-node">{}</refuse-application>'
    with pytest.raises(SchemaViolation, match="server-app-id") as caught:
        schema.validate_rpc_input(parse(refuse.format("")))
    assert caught.value.tag == "data-missing"
    assert caught.value.path == "/keyweave-qkd-node:refuse-application"
    with pytest.raises(SchemaViolation, match="there is no why"):
        schema.validate_rpc_input(parse(refuse.format("<why/>")))
    with pytest.raises(SchemaViolation, match="no operation"):
        schema.validate_rpc_input(parse('<reboot xmlns="urn:x"/>'))


def test_views_look_up_check_and_compare(schema: ModelSchema) -> None:
    top = schema.top(QKD_NODE)
    assert top is not None
    assert top is schema.top(QKD_NODE)
    assert schema.top("{urn:x}qkd_node") is None
    assert [view.name for view in schema.tops()].count("qkd_node") == 1
    links = top.child(etsi("qkd_links"))
    assert links is not None
    link = links.child(etsi("qkd_link"))
    assert link is not None
    assert link is links.children()[0]
    assert (link.kind, link.module, link.name) == (Kind.LIST, "etsi-qkd-sdn-node", "qkd_link")
    assert link.child("qkdl_id") is None
    identity = link.child(etsi("qkdl_type"))
    key = link.child(etsi("qkdl_id"))
    loss = link.child(etsi("phys_channel_att"))
    assert identity is not None
    assert key is not None
    assert loss is not None
    assert "qkdl_id" in repr(key)
    typed = parse(
        '<qkdl_type xmlns="urn:e" xmlns:z="urn:etsi:qkd:yang:etsi-qkd-node-types"> z:PHYS </qkdl_type>'
    )
    identity.check_leaf(typed)
    assert identity.canonical(typed) == "etsi-qkd-node-types:PHYS"
    assert key.canonical(parse(f"<a>{FIBRE.upper()}</a>")) == FIBRE
    assert loss.canonical(parse("<a>+03.100</a>")) == "3.1"
    assert loss.canonical(parse("<a>x</a>")) == "x"
    with pytest.raises(SchemaViolation, match="no leaf"):
        link.check_leaf(typed)
    assert key.child("{urn:x}y") is None
    assert list(key.children()) == []


def test_the_modules_that_are_told_of(schema: ModelSchema) -> None:
    modules = {module.name: module for module in schema.modules}
    node = modules["etsi-qkd-sdn-node"]
    assert (node.namespace, node.yang_version, node.implemented) == (etsi("")[1:-1], "1", True)
    assert node.revision > "2022-01-30"
    assert node.text.startswith("/*\n * Copyright 2022 ETSI")
    assert modules["ietf-yang-library"].yang_version == "1.1"
    assert not modules["ietf-inet-types"].implemented
    assert "candidate" in modules["ietf-netconf"].features
    assert all(module.text and module.revision for module in modules.values())
