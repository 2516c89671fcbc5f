"""The controller's datastore: what is accepted as configuration and state, and what is refused and why."""

import pytest
from lxml import etree
from tests.yang.controller_samples import (
    AL,
    ALPHA,
    BETA,
    CONFIGURATION,
    FIBRE,
    KWN,
    PATH,
    STREAM,
    association,
    associations,
    kwn,
    tenant,
    tenants,
    topology,
)
from tests.yang.samples import parse

from keyweave_core.errors import SchemaViolation
from keyweave_yang.schema import ModelSchema, load_schema

WAY = (
    f"<node-id>{ALPHA}</node-id><node-id>{BETA}</node-id><node-name>A</node-name><node-name>B</node-name>"
    "<hops>1</hops>"
)
VIRTUAL = (
    f"<virtual-link-id>{PATH}</virtual-link-id>{WAY}<link-id>{FIBRE}</link-id>"
    "<bandwidth-bps>2048</bandwidth-bps><hop-bps>2112</hop-bps><since>2026-11-21T08:00:00Z</since>"
)


START = "start-of-unscheduled"
SCHEDULED = "<class>scheduled</class><starts-at>2027-01-01T00:00:00Z</starts-at>"
END = "<expires-at>2027-01-02T00:00:00Z</expires-at>"
BOTH = "<include-link>A-B</include-link><exclude-link>A-B</exclude-link>"
SERVICE = (
    f"<service>{SCHEDULED}<protection>1+1</protection><disjointness>risks</disjointness><ways>3</ways>"
    "<preemptible>false</preemptible><key-bits>1024</key-bits><strategy>least-km</strategy>"
    "<key-mode>hybrid</key-mode><relay-method>xor-announce</relay-method>"
    "<share-threshold>2</share-threshold><constraints>"
    "<max-hops>6</max-hops><max-latency-ms>1.5</max-latency-ms><min-trust>50</min-trust>"
    f"<exclude-link>{FIBRE}</exclude-link><exclude-link>A-B</exclude-link><exclude-node>A</exclude-node>"
    "<exclude-risk>duct</exclude-risk><technology>dv-qkd-2ws</technology><domain>north</domain>"
    "<min-stored-bits>1</min-stored-bits><max-key-age-s>9</max-key-age-s>"
    "<direct-only>true</direct-only></constraints></service>"
)


@pytest.fixture(scope="module")
def schema() -> ModelSchema:
    return load_schema("controller")


def test_a_whole_configuration_is_valid(schema: ModelSchema) -> None:
    schema.validate(CONFIGURATION)
    schema.validate([])
    schema.validate([associations(association(SERVICE + END))])


@pytest.mark.parametrize(
    ("config", "where", "tag", "app_tag"),
    [
        (
            [associations(association("<service><share-threshold>2</share-threshold></service>"))],
            "keyweave-qkd-network:share-threshold",
            "operation-failed",
            "threshold-of-unsplit",
        ),
        (
            [
                associations(
                    association(
                        "<service><protection>1+1</protection><ways>2</ways>"
                        "<share-threshold>3</share-threshold></service>"
                    )
                )
            ],
            "keyweave-qkd-network:share-threshold",
            "operation-failed",
            "threshold-above-ways",
        ),
        (
            [associations(association(source="x", destination="x"))],
            "/keyweave-qkd-network:association[keyweave-qkd-network:name='backup']",
            "operation-failed",
            "same-application",
        ),
        (
            [
                associations(
                    association(
                        "<qos><min-bandwidth-bps>9</min-bandwidth-bps>"
                        "<max-bandwidth-bps>8</max-bandwidth-bps></qos>"
                    )
                )
            ],
            "keyweave-qkd-network:qos",
            "operation-failed",
            "max-below-min",
        ),
        (
            [associations(association("<tenant>nobody</tenant>"))],
            "keyweave-qkd-network:tenant",
            "data-missing",
            "instance-required",
        ),
        (
            [tenants(tenant("bank", "sae-a"), tenant("city", "sae-c", "sae-a"))],
            "keyweave-qkd-network:tenant",
            "operation-failed",
            "application-of-two-tenants",
        ),
        (
            [associations("<association><name>x</name><source>a</source></association>")],
            "keyweave-qkd-network:association",
            "data-missing",
            "",
        ),
        *(
            ([associations(association(f"<service>{service}</service>{more}"))], where, tag, app_tag)
            for service, more, where, tag, app_tag in (
                ("<starts-at>2027-01-01T00:00:00Z</starts-at>", "", ":service", "operation-failed", START),
                ("<class>scheduled</class>", END, ":service", "operation-failed", "scheduled-without-start"),
                (SCHEDULED, "", "association", "operation-failed", "scheduled-without-expiry"),
                (
                    "<class>best-effort</class><protection>1:1</protection>",
                    "",
                    ":service",
                    "operation-failed",
                    "standby-of-best-effort",
                ),
                (
                    "<protection>1+1</protection><constraints><include-node>B</include-node></constraints>",
                    "",
                    ":service",
                    "operation-failed",
                    "protection-with-includes",
                ),
                (
                    f"<constraints>{BOTH}</constraints>",
                    "",
                    ":constraints",
                    "operation-failed",
                    "included-and-excluded",
                ),
                ("<key-bits>1001</key-bits>", "", "key-bits", "operation-failed", "part-of-a-byte"),
                ("<key-bits>56</key-bits>", "", "key-bits", "invalid-value", ""),
                ("<ways>1</ways>", "", "ways", "invalid-value", ""),
                ("<strategy>Best</strategy>", "", "strategy", "invalid-value", ""),
                (
                    "<constraints><min-trust>101</min-trust></constraints>",
                    "",
                    "min-trust",
                    "invalid-value",
                    "",
                ),
                (
                    "<constraints><technology>qkd</technology></constraints>",
                    "",
                    "technology",
                    "invalid-value",
                    "",
                ),
            )
        ),
        (
            [kwn("policy", "<damping-reuse>2</damping-reuse><damping-suppress>2</damping-suppress>")],
            "policy",
            "operation-failed",
            "reuse-above-suppress",
        ),
        ([kwn("policy", "<most-moves>65</most-moves>")], "most-moves", "invalid-value", ""),
        ([kwn("policy", "<usable-share>0</usable-share>")], "usable-share", "invalid-value", ""),
        ([kwn("policy", "<max-relay-hops>257</max-relay-hops>")], "max-relay-hops", "invalid-value", ""),
        ([kwn("tariff", "<per-key>-1</per-key>")], "per-key", "invalid-value", ""),
        ([kwn("inventory")], "keyweave-qkd-network:inventory", "invalid-value", ""),
        (
            [
                parse(
                    f'<alarms xmlns="{AL}"><control><notify-severity-level>major</notify-severity-level>'
                    "</control></alarms>"
                )
            ],
            "notify-severity-level",
            "unknown-element",
            "",
        ),
    ],
)
def test_what_is_refused(
    schema: ModelSchema, config: list[etree._Element], where: str, tag: str, app_tag: str
) -> None:
    with pytest.raises(SchemaViolation) as caught:
        schema.validate(config)
    error = caught.value
    assert where in error.path
    assert (error.tag, error.app_tag or "") == (tag, app_tag)


def test_the_message_of_a_must_is_told(schema: ModelSchema) -> None:
    with pytest.raises(SchemaViolation, match="source and destination must be two applications"):
        schema.validate([associations(association(source="x", destination="x"))])


def test_operational_state_of_everything(schema: ModelSchema) -> None:
    facts = topology(
        node_facts=(
            f"<node-id>{ALPHA}</node-id><name>Alpha</name><connected>true</connected>"
            "<status>operating</status><location-id>cellar</location-id><version>1</version>"
            "<trust-level>trusted</trust-level><trust>90</trust><domain>north</domain><relays-keys>true</relays-keys>"
            "<reports-link-statistics>true</reports-link-statistics>"
            "<reports-application-statistics>true</reports-application-statistics>"
            "<consumer>sae-a</consumer><lost-reason>none</lost-reason><fault>says too much</fault>"
            "<changed-at>2026-11-21T08:00:00Z</changed-at>"
        ),
        link_facts=(
            f"<link-id>{FIBRE}</link-id><source-name>A</source-name><destination-name>B</destination-name>"
            "<status>active</status><distance-km>21.5</distance-km><loss-db>4.2</loss-db>"
            "<qber>0.0213</qber><skr-bps>24000</skr-bps><stored-bits>5</stored-bits>"
            "<capacity-bits>68719476736</capacity-bits><reserved-bps>2048</reserved-bps>"
            "<available-bps>19000</available-bps><fault>none</fault><oldest-key-age-s>4</oldest-key-age-s>"
            "<technology>cv-qkd</technology><latency-ms>0.1</latency-ms><risk-group>duct</risk-group>"
            "<penalty>1.5</penalty><shy-until>2026-11-21T08:00:00Z</shy-until><suppressed>true</suppressed>"
            "<overbooked-since>2026-11-21T08:00:00Z</overbooked-since>"
            f"<booking><app-id>{STREAM}</app-id><bandwidth-bps>7</bandwidth-bps>"
            "<starts-at>2027-01-01T00:00:00Z</starts-at><ends-at>2027-01-02T00:00:00Z</ends-at></booking>"
            "<limited-in-time>true</limited-in-time><window><starts-at>2027-01-01T00:00:00Z</starts-at>"
            "<ends-at>2027-01-02T00:00:00Z</ends-at><rate-bps>7</rate-bps></window>"
            "<down-since>2026-11-21T08:00:00Z</down-since><down-reason>cut</down-reason>"
            f"<reservation><virtual-link-id>{PATH}</virtual-link-id>"
            "<bandwidth-bps>2048</bandwidth-bps></reservation>"
            f"<end><node-id>{ALPHA}</node-id><interface-id>1</interface-id><status>active</status>"
            "<qber>0.5</qber><skr-bps>1</skr-bps><stored-bits>1</stored-bits>"
            "<capacity-bits>1</capacity-bits><effective-skr-bps>1</effective-skr-bps>"
            "<snr-db>-1.5</snr-db><at>2026-11-21T08:00:00Z</at></end>"
        ),
        port_facts=(
            "<interface-id>1</interface-id><model>m</model><technology>dv-qkd-2ws</technology>"
            "<role-support>transmitter</role-support><status>enabled</status>"
            "<attached-device>switch</attached-device><attached-port>3</attached-port>"
            "<wavelength-range>1,12-20</wavelength-range><max-absorption-db>30.0</max-absorption-db>"
        ),
    )
    state = (
        f"<state><app-id>{STREAM}</app-id><status>moving</status><reason>why</reason>"
        "<requested-by>ops</requested-by><created-at>2026-11-21T08:00:00Z</created-at>"
        "<changed-at>2026-11-21T08:00:00Z</changed-at>"
        f"<source-node-id>{ALPHA}</source-node-id><destination-node-id>{BETA}</destination-node-id>"
        "<source-node>A</source-node><destination-node>B</destination-node>"
        f"<path>{VIRTUAL}</path><other-path>{VIRTUAL}</other-path><next-path>{VIRTUAL}</next-path>"
        f"<next-other-path>{VIRTUAL}</next-other-path><past-path>{VIRTUAL}</past-path>"
        "<outage-since>2026-11-21T08:00:00Z</outage-since><outage-s>1.5</outage-s>"
        "<share-bps>9</share-bps><degraded-bps>8</degraded-bps><degraded>its path is broken</degraded>"
        f"<preempted-by>{STREAM}</preempted-by><trouble>too hot</trouble>"
        f"<booked-path><number>1</number><link-id>{FIBRE}</link-id></booked-path></state>"
    )
    inventory = (
        "<agent><name>a</name><host>127.0.0.1</host><port>830</port><protocol>netconf-call-home</protocol>"
        "<connected>true</connected><lost-reason>-</lost-reason><rejected-reason>-</rejected-reason>"
        f"<node-id>{ALPHA}</node-id><consumer>sae-a</consumer><session><session-id>4</session-id>"
        "<since>2026-11-21T08:00:00Z</since><key-exchange>mlkem768x25519-sha256</key-exchange>"
        "<cipher>aes256-gcm</cipher><post-quantum>true</post-quantum></session>"
        "<dialogue>writes running</dialogue></agent>"
    )
    usage = "".join(
        f"<usage><app-id>{STREAM}</app-id><virtual-link-id>{way}</virtual-link-id>"
        "<origin>pqc</origin><source>sae-a</source>"
        f"<destination>sae-d</destination>{WAY}<delivered-bits>1</delivered-bits>"
        "<delivered-keys>1</delivered-keys><first-at>2026-11-21T08:00:00Z</first-at>"
        "<last-at>2026-11-21T08:00:00Z</last-at></usage>"
        for way in (PATH, "none")
    )
    schema.validate_data(
        [
            parse(facts),
            associations(association(state, name=STREAM)),
            tenants(tenant("bank", inner="<state><associations>1</associations></state>")),
            kwn("inventory", inventory),
            kwn("accounting", usage),
        ]
    )


def test_qkd_facts_belong_to_qkd_networks(schema: ModelSchema) -> None:
    with pytest.raises(SchemaViolation, match="when"):
        schema.validate_data([parse(topology(node_facts="<name>A</name>", qkd=False))])


def test_rpcs(schema: ModelSchema) -> None:
    ends = "<source>sae-a</source><destination>sae-d</destination>"
    schema.validate_rpc_input(
        kwn(
            "compute-paths",
            f"{ends}<max-hops>4</max-hops><exclude-link>{FIBRE}</exclude-link><number>16</number>"
            f"<more-destination>B</more-destination>{SERVICE}",
        )
    )
    way = f"{ends}<link>A-B</link><other><number>1</number><link>A-C</link></other>"
    schema.validate_rpc_input(kwn("deploy-path", f"{way}{SERVICE}{END}<priority>2</priority>"))
    schema.validate_rpc_input(kwn("deploy-path", f"{ends}<path-id>0123456789abcdef</path-id>"))
    schema.validate_rpc_input(kwn("explain", "<association>backup</association>"))
    schema.validate_rpc_input(
        kwn(
            "what-if",
            "<fail-risk>duct</fail-risk><link-rate><link>A-B</link><rate-bps>0</rate-bps></link-rate>"
            f"<add-demand><id>1</id>{ends}<max-bandwidth-bps>7</max-bandwidth-bps>{SERVICE}{END}</add-demand>",
        )
    )
    schema.validate_rpc_input(
        kwn("what-if", f"<fail-node>A</fail-node><add-demand><id>1</id>{ends}</add-demand>")
    )
    schema.validate_rpc_input(kwn("get-bill"))
    schema.validate_rpc_input(kwn("close-association", f"<app-id>{STREAM}</app-id>"))
    for wrong, tag in (
        (kwn("compute-paths", "<source>sae-a</source>"), "data-missing"),
        (kwn("compute-paths", f"{ends}<number>17</number>"), "invalid-value"),
        (kwn("what-if", f"<add-demand>{ends}</add-demand>"), "missing-element"),
        (kwn("what-if", f"<add-demand><id>1</id>{ends}{SERVICE}</add-demand>"), "operation-failed"),
        (kwn("what-if", "<link-rate><link>A-B</link></link-rate>"), "data-missing"),
        (kwn("deploy-path", f"{way}<other><number>2</number></other>"), "data-missing"),
        (kwn("deploy-path", f"{way}<path-id>0123456789abcdef</path-id>"), "bad-element"),
        (
            kwn(
                "deploy-path",
                f"{way}<min-bandwidth-bps>9</min-bandwidth-bps><max-bandwidth-bps>8</max-bandwidth-bps>",
            ),
            "operation-failed",
        ),
        (kwn("explain"), "data-missing"),
    ):
        with pytest.raises(SchemaViolation) as caught:
            schema.validate_rpc_input(wrong)
        assert caught.value.tag == tag


def test_answers(schema: ModelSchema) -> None:
    operation = f"{{{KWN}}}explain"
    schema.validate_rpc_output(operation, kwn("output", "<summary>so</summary><reason>why</reason>"))
    for wrong, tag in (("<summary/><summary/>", "bad-element"), ("<path><number>x</number></path>", "")):
        with pytest.raises(SchemaViolation) as caught:
            schema.validate_rpc_output(operation, kwn("output", wrong))
        assert caught.value.path.startswith("/keyweave-qkd-network:explain")
        assert not tag or caught.value.tag
    with pytest.raises(SchemaViolation, match="no operation"):
        schema.validate_rpc_output(f"{{{KWN}}}dance", kwn("output"))


def test_notifications(schema: ModelSchema) -> None:
    schema.validate_notification(
        kwn(
            "association-changed",
            f"<name>x</name><app-id>{STREAM}</app-id><status>suspended</status>"
            f"<virtual-link-id>{PATH}</virtual-link-id><preempted-by>{STREAM}</preempted-by>"
            "<degraded>no path stands by</degraded>",
        )
    )
    schema.validate_notification(kwn("node-changed", "<name>x</name><removed/>"))
    schema.validate_notification(kwn("link-changed", f"<link-id>{FIBRE}</link-id><status>off</status>"))
    with pytest.raises(SchemaViolation):
        schema.validate_notification(kwn("link-changed", f"<node-id>{ALPHA}</node-id>" * 3))


def test_every_namespace_is_announced(schema: ModelSchema) -> None:
    served = {module.name: module for module in schema.modules}
    assert served["keyweave-qkd-network"].namespace == KWN
    assert served["keyweave-qkd-network"].yang_version == "1.1"
    assert served["ietf-netconf-acm"].implemented
    assert served["ietf-alarms"].features == (
        "operator-actions",
        "alarm-summary",
        "root-cause-analysis",
        "service-impact-analysis",
    )


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (kwn("policy", "<max-relay-hops>0</max-relay-hops>"), "'0' is outside 1..256"),
        (kwn("policy", "<max-relay-hops>-1</max-relay-hops>"), "'-1' is outside 1..256"),
        (kwn("policy", "<max-relay-hops>x</max-relay-hops>"), "'x' is no valid uint16"),
        (kwn("policy", "<rate-smoothing-s>3601</rate-smoothing-s>"), "'3601' is outside 0.000..3600.000"),
        (kwn("policy", "<usable-share>1.5</usable-share>"), "'1.5' is outside 0.000001..1"),
        (kwn("policy", "<closed-kept>-1</closed-kept>"), "'-1' is outside 0..4294967295"),
        (tenants("<tenant><name/></tenant>"), "'' has 0 characters, not 1..128"),
        (associations(association("<tenant>nobody</tenant>")), "there is no 'nobody' for it to point at"),
        (
            parse(
                f'<alarms xmlns="{AL}"><control><max-alarm-status-changes>-1</max-alarm-status-changes>'
                "</control></alarms>"
            ),
            "'-1' is no valid uint16 or enumeration",
        ),
    ],
)
def test_a_refusal_says_what_would_do(schema: ModelSchema, config: etree._Element, words: str) -> None:
    with pytest.raises(SchemaViolation) as caught:
        schema.validate([config])
    assert str(caught.value).endswith(words) or words in str(caught.value)
