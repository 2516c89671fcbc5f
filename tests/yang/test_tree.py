"""The schema is the published one: every node of ETSI GS QKD 015 V2.1.1 with type, config flag and default.

The table is read twice: against pyang's tree of the files, and against the schema that servers use.
"""

import re
import subprocess
import sys

import pytest

from keyweave_core.netconf.ports import Kind
from keyweave_yang.namespaces import ETSI_NODE, QKD_NODE
from keyweave_yang.nodes import NodeView
from keyweave_yang.schema import load_schema
from keyweave_yang.sources import find_source, ietf_folder, our_folders

# path | type | flag | default; '*' a list or leaf-list, '!' mandatory, '[..]' key. A type in capitals is
# an identityref of that base.
TABLE = """
qkdn_id!                                                         | yang:uuid            | rw |
qkdn_status                                                      | QKDN-STATUS-TYPES    | ro |
qkdn_version                                                     | string               | rw |
qkdn_location_id                                                 | string               | rw | ''
qkdn_capabilities/link_stats_support                             | boolean              | rw | true
qkdn_capabilities/application_stats_support                      | boolean              | rw | true
qkdn_capabilities/key_relay_mode_enable                          | boolean              | rw | true
qkd_applications/qkd_app*[app_id]                                |                      | rw |
qkd_applications/qkd_app/app_id                                  | yang:uuid            | rw |
qkd_applications/qkd_app/app_status                              | APP-STATUS-TYPES     | ro |
qkd_applications/qkd_app/app_type                                | QKD-APP-TYPES        | rw |
qkd_applications/qkd_app/server_app_id                           | inet:uri             | rw |
qkd_applications/qkd_app/client_app_id*                          | inet:uri             | rw |
qkd_applications/qkd_app/app_priority                            | uint32               | rw | 0
qkd_applications/qkd_app/creation_time                           | yang:date-and-time   | ro |
qkd_applications/qkd_app/expiration_time                         | yang:date-and-time   | rw |
qkd_applications/qkd_app/app_statistics/statistics*[end_time]    |                      | ro |
qkd_applications/qkd_app/app_statistics/statistics/end_time      | yang:date-and-time   | ro |
qkd_applications/qkd_app/app_statistics/statistics/start_time    | yang:date-and-time   | ro |
qkd_applications/qkd_app/app_statistics/statistics/consumed_bits | uint32               | ro |
qkd_applications/qkd_app/app_qos/max_bandwidth                   | uint32               | rw |
qkd_applications/qkd_app/app_qos/min_bandwidth                   | uint32               | rw |
qkd_applications/qkd_app/app_qos/jitter                          | uint32               | rw |
qkd_applications/qkd_app/app_qos/ttl                             | uint32               | rw |
qkd_applications/qkd_app/app_qos/clients_shared_path_enable      | boolean              | rw | false
qkd_applications/qkd_app/app_qos/clients_shared_keys_required    | boolean              | rw | false
qkd_applications/qkd_app/backing_qkdl_id*                        | yang:uuid            | rw |
qkd_applications/qkd_app/local_qkdn_id                           | yang:uuid            | rw |
qkd_applications/qkd_app/remote_qkdn_id                          | yang:uuid            | rw |
qkd_interfaces/qkd_interface*[qkdi_id]                           |                      | rw |
qkd_interfaces/qkd_interface/qkdi_id                             | uint32               | rw |
qkd_interfaces/qkd_interface/qkdi_model                          | string               | rw |
qkd_interfaces/qkd_interface/qkdi_type                           | QKD-TECHNOLOGY-TYPES | rw |
qkd_interfaces/qkd_interface/qkdi_att_point/device               | string               | rw |
qkd_interfaces/qkd_interface/qkdi_att_point/port                 | uint32               | rw |
qkd_interfaces/qkd_interface/qkdi_capabilities/role_support      | QKD-ROLE-TYPES       | rw |
qkd_interfaces/qkd_interface/qkdi_capabilities/wavelength_range  | wavelength-range-type| rw |
qkd_interfaces/qkd_interface/qkdi_capabilities/max_absorption    | decimal64            | rw |
qkd_interfaces/qkd_interface/qkdi_status                         | IFACE-STATUS-TYPES   | ro |
qkd_links/qkd_link*[qkdl_id]                                     |                      | rw |
qkd_links/qkd_link/qkdl_id                                       | yang:uuid            | rw |
qkd_links/qkd_link/qkdl_status                                   | LINK-STATUS-TYPES    | rw |
qkd_links/qkd_link/qkdl_enable                                   | boolean              | rw | true
qkd_links/qkd_link/qkdl_local/qkdn_id                            | yang:uuid            | rw |
qkd_links/qkd_link/qkdl_local/qkdi_id                            | uint32               | rw |
qkd_links/qkd_link/qkdl_remote/qkdn_id                           | yang:uuid            | rw |
qkd_links/qkd_link/qkdl_remote/qkdi_id                           | uint32               | rw |
qkd_links/qkd_link/qkdl_type                                     | QKD-LINK-TYPES       | rw |
qkd_links/qkd_link/qkdl_applications*                            | yang:uuid            | rw |
qkd_links/qkd_link/virt_prev_hop                                 | yang:uuid            | rw |
qkd_links/qkd_link/virt_next_hop*                                | yang:uuid            | rw |
qkd_links/qkd_link/virt_bandwidth                                | uint32               | rw |
qkd_links/qkd_link/phys_channel_att                              | decimal64            | rw |
qkd_links/qkd_link/phys_wavelength                               | wavelength           | rw |
qkd_links/qkd_link/phys_qkd_role                                 | QKD-ROLE-TYPES       | rw |
qkd_links/qkd_link/qkdl_performance/expected_consumption         | uint32               | ro |
qkd_links/qkd_link/qkdl_performance/skr                          | uint32               | ro |
qkd_links/qkd_link/qkdl_performance/eskr                         | uint32               | ro |
qkd_links/qkd_link/qkdl_performance/phys_perf*[perf_type]        |                      | ro |
qkd_links/qkd_link/qkdl_performance/phys_perf/perf_type          | PHYS-PERF-TYPES      | ro |
qkd_links/qkd_link/qkdl_performance/phys_perf/value              | decimal64            | ro |
"""

NOTIFICATIONS = {
    "sdqkdn_application_new": "qkd_application(app_type server_app_id client_app_id* app_priority "
    "local_qkdn_id app_qos(max_bandwidth min_bandwidth jitter ttl clients_shared_path_enable "
    "clients_shared_keys_required))",
    "sdqkdn_application_qos_update": "qkd_application(app_id app_qos(max_bandwidth min_bandwidth jitter ttl "
    "clients_shared_path_enable clients_shared_keys_required) app_priority)",
    "sdqkdn_application_disconnected": "qkd_application(app_id)",
    "sdqkdn_interface_new": "qkd_interface(qkdi_id qkdi_model qkdi_type qkdi_att_point(device port) "
    "qkdi_capabilities(role_support wavelength_range max_absorption))",
    "sdqkdn_interface_down": "qkd_interface(qkdi_id reason)",
    "sdqkdn_interface_out": "qkd_interface(qkdi_id)",
    "sdqkdn_link_down": "qkd_link(qkdl_id reason)",
    "sdqkdn_link_perf_update": "qkd_link(qkdl_id performance(expected_consumption skr eskr "
    "phys_perf*(perf_type value)))",
    "sdqkdn_link_overloaded": "qkd_link(qkdl_id performance(expected_consumption skr eskr))",
    "alarm": "link(qkdl_id qkdl_status message severity) interface(qkdi_id qkdi_status message severity) "
    "application(app_id app_status message severity)",
    "event": "link(qkdl_id qkdl_status message severity) interface(qkdi_id qkdi_status message severity) "
    "application(app_id app_status message severity)",
}

IDENTITIES = {
    "QKD-TECHNOLOGY-TYPES": "CV-QKD DV-QKD DV-QKD-COW DV-QKD-2Ws",
    "QKDN-STATUS-TYPES": "NEW OPERATING DOWN FAILURE OUT",
    "QKD-LINK-TYPES": "VIRT PHYS",
    "QKD-ROLE-TYPES": "TRANSMITTER RECEIVER TRANSCEIVER",
    "QKD-APP-TYPES": "CLIENT INTERNAL",
    "PHYS-PERF-TYPES": "QBER SNR",
    "LINK-STATUS-TYPES": "ACTIVE PASSIVE PENDING OFF",
    "IFACE-STATUS-TYPES": "ENABLED DISABLED FAILED",
    "APP-STATUS-TYPES": "ON DISCONNECTED OUT-OF-TIME ZOMBIE",
    "SEVERITY-TYPES": "MAJOR MINOR",
}

Row = tuple[str, str, str, str | None, bool, bool, str]


def _rows() -> list[Row]:
    rows: list[Row] = []
    for line in TABLE.strip().splitlines():
        path, kind, flag, *rest = (cell.strip() for cell in line.split("|"))
        default = rest[0] if rest and rest[0] else None
        key = path.partition("[")[2].rstrip("]")
        path = path.partition("[")[0]
        rows.append(
            (
                path.rstrip("!*"),
                kind,
                flag,
                "" if default == "''" else default,
                path.endswith("!"),
                path.endswith("*"),
                key,
            )
        )
    return rows


def _view(path: str) -> NodeView:
    view = load_schema("agent").top(QKD_NODE)
    assert view is not None
    for name in path.split("/"):
        view = view.child(f"{{{ETSI_NODE}}}{name}")
        assert view is not None, path
    return view


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0])
def test_the_schema_in_use_holds_the_published_node(row: Row) -> None:
    path, kind, flag, default, _mandatory, many, key = row
    view = _view(path)
    assert view.config is (flag == "rw")
    assert view.default == default
    assert (view.kind in (Kind.LIST, Kind.LEAF_LIST)) is many
    assert view.keys == ((f"{{{ETSI_NODE}}}{key}",) if key else ())
    assert not view.presence
    assert not view.user_ordered
    if view.leaf is None:
        assert kind == ""
    elif kind.isupper():
        assert view.origin.type.bases == [(kind, "etsi-qkd-node-types")]
    else:
        assert view.leaf.type_name == kind.rpartition(":")[2]
    if kind == "decimal64":
        assert view.origin.type.fraction_digits == 3


def _leaves_of(view: NodeView, path: str = "") -> set[str]:
    found = set()
    for child in view.children():
        if child.namespace != ETSI_NODE:
            continue
        here = f"{path}{child.name}"
        if child.leaf is not None or child.kind is Kind.LIST:
            found.add(here)
        found |= _leaves_of(child, f"{here}/")
    return found


def test_nothing_was_added_to_the_published_tree() -> None:
    top = load_schema("agent").top(QKD_NODE)
    assert top is not None
    assert _leaves_of(top) == {row[0] for row in _rows()}


def _payload(view: NodeView) -> str:
    shown = []
    for child in view.children():
        if child.namespace != ETSI_NODE:
            continue
        many = "*" if child.kind in (Kind.LIST, Kind.LEAF_LIST) else ""
        inner = "" if child.leaf is not None else f"({_payload(child)})"
        shown.append(f"{child.name}{many}{inner}")
    return " ".join(shown)


@pytest.mark.parametrize("name", NOTIFICATIONS)
def test_the_payload_of_each_notification_is_the_published_one(name: str) -> None:
    view = load_schema("agent").notification(f"{{{ETSI_NODE}}}{name}")
    assert view is not None
    assert _payload(view) == NOTIFICATIONS[name]


def test_there_are_eleven_notifications_and_no_operation_of_etsi() -> None:
    text = find_source("etsi-qkd-sdn-node", our_folders()).text
    assert set(re.findall(r"^  notification (\S+)", text, re.MULTILINE)) == set(NOTIFICATIONS)
    for keyword in ("rpc", "feature", "must", "presence", "units", "leafref", "action"):
        assert not re.search(rf"^\s*(type )?{keyword}\s", text, re.MULTILINE), keyword
    assert len(re.findall(r"^\s*when ", text, re.MULTILINE)) == 3


def test_identities_and_their_bases() -> None:
    text = find_source("etsi-qkd-node-types", our_folders()).text
    found: dict[str, list[str]] = {}
    for name, base in re.findall(r"identity (\S+) \{\n(?:    base (\S+);\n)?", text):
        found.setdefault(base or name, [])
        if base:
            found[base].append(name)
    assert {base: " ".join(names) for base, names in found.items()} == IDENTITIES


@pytest.mark.parametrize(
    ("name", "namespace", "prefix"),
    [
        ("etsi-qkd-sdn-node", "urn:etsi:qkd:yang:etsi-qkd-node", "etsi-qkdn"),
        ("etsi-qkd-node-types", "urn:etsi:qkd:yang:etsi-qkd-node-types", "etsi-qkdn-types"),
        ("keyweave-qkd-node", "urn:keyweave:yang:keyweave-qkd-node", "kwq"),
        ("notifications", "urn:ietf:params:xml:ns:netconf:notification:1.0", "ncEvent"),
        ("nc-notifications", "urn:ietf:params:xml:ns:netmod:notification", "manageEvent"),
    ],
)
def test_heads_of_the_modules(name: str, namespace: str, prefix: str) -> None:
    source = find_source(name, our_folders())
    assert source.namespace == namespace
    assert source.yang_version == "1"  # only such a module may be announced in a hello
    assert re.search(rf"^  prefix {prefix};", source.text, re.MULTILINE)
    revisions = re.findall(r"^  revision (\S+) ", source.text, re.MULTILINE)
    assert source.path.name == f"{name}@{revisions[0]}.yang"
    assert revisions == sorted(revisions, reverse=True)
    if name.startswith("etsi"):
        assert revisions[1:] == ["2022-01-30", "2020-09-30"]
        assert "Copyright 2022 ETSI" in source.text


def test_pyang_shows_the_same_tree() -> None:
    node = find_source("etsi-qkd-sdn-node", our_folders())
    path = ":".join(str(folder) for folder in (*our_folders(), ietf_folder()))
    command = "from pyang.scripts.pyang_tool import run; run()"
    shown = subprocess.run(
        [sys.executable, "-c", command, "-f", "tree", "--path", path, str(node.path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    line = re.compile(r"^([| ]+)\+--(rw|ro) ([\w.-]+)([?*]?)(?: \[(\S+)\])?(?: +(\S+))?$")
    seen: dict[str, tuple[str, str, str, str]] = {}
    stack: list[str] = []
    for text in shown.partition("notifications:")[0].splitlines():
        match = line.match(text)
        if match is None:
            continue
        bars, flag, name, mark, key, kind = match.groups()
        depth = len(bars) // 3
        stack[depth:] = [name]
        seen["/".join(stack)] = (flag, mark, key or "", kind or "")
    for path_, kind, flag, _default, mandatory, many, key in _rows():
        mark = "*" if many else "" if mandatory or _is_key(path_) else "?"
        shown_kind = "identityref" if kind.isupper() else kind.strip()
        if kind.startswith("wavelength"):
            shown_kind = f"etsi-qkdn-types:{kind}"
        assert seen[f"qkd_node/{path_}"] == (flag, mark, key, shown_kind), path_


def _is_key(path: str) -> bool:
    parent, _, leaf = path.rpartition("/")
    return any(row[0] == parent and row[6] == leaf for row in _rows())
