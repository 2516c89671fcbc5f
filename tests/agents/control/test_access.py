"""Access control on the tree of an agent: users of different groups over SSH, and what survives a restart."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest
import structlog
from lxml import etree

from keyweave_agents.control.netconf_endpoint import NodeEndpoint
from keyweave_agents.control.saved import SavedConfiguration
from keyweave_agents.keys.plan import KeyPlan, KeyState
from keyweave_core.model.ids import NodeId
from keyweave_core.model.node import Node
from keyweave_core.netconf.client.client import NetconfClient, connect
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.netconf.protocol.rpc_errors import BASE, RpcError
from keyweave_core.netconf.server.nacm.control import Nacm
from keyweave_core.netconf.server.nacm.initial import initial_nacm
from keyweave_core.netconf.server.nacm.rules import NACM
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import SystemClock
from keyweave_yang.namespaces import QKD_NODE
from keyweave_yang.schema import load_schema

ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
CLOCK = SystemClock()
USER = asyncssh.generate_private_key("ssh-ed25519")
HOST = asyncssh.generate_private_key("ssh-ed25519")
OWN = Node(node_id=NodeId("aaaaaaaa-0000-4000-8000-000000000001"), location_id="rack 1", version="1")
GROUPS = {
    "ctl": frozenset({"operator"}),
    "audit": frozenset({"auditor"}),
    "tenant": frozenset({"tenants"}),
    "nobody": frozenset[str](),
    "root": frozenset[str](),
}
APP = "22222222-0000-4000-8000-00000000000{}"


@dataclass
class Keys:
    plans: list[KeyPlan] = field(default_factory=list)

    def configure(self, plan: KeyPlan) -> None:
        self.plans.append(plan)

    def refuse(self, *_args: object) -> None:
        raise AssertionError("nobody may refuse here")

    def snapshot(self) -> KeyState:
        return KeyState(
            pools={}, consumption_bps={}, associations={}, active_routes=frozenset(), peers_up=frozenset()
        )


def element(text: str) -> etree._Element:
    return parse_xml(text.encode())


def node(inner: str) -> etree._Element:
    return element(f'<qkd_node xmlns="{ETSI}" xmlns:nc="{BASE}">{inner}</qkd_node>')


def nacm(inner: str) -> etree._Element:
    return element(f'<nacm xmlns="{NACM}" xmlns:q="{ETSI}" xmlns:nc="{BASE}">{inner}</nacm>')


@dataclass
class Place:
    server: NetconfServer
    access: Nacm
    port: int
    open: AsyncExitStack

    async def client(self, name: str) -> NetconfClient:
        client = await connect(
            "127.0.0.1", self.port, username=name, key=USER, host_key=HOST.convert_to_public(), clock=CLOCK
        )
        return await self.open.enter_async_context(client)


def endpoint(folder: Path) -> NodeEndpoint:
    return NodeEndpoint(
        OWN,
        keys=Keys(),
        modules={},
        saved=SavedConfiguration(folder),
        schema=load_schema("agent"),
        clock=CLOCK,
        beginning=[initial_nacm()],
    )


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    device = endpoint(tmp_path)
    access = Nacm(load_schema("agent"))
    server = NetconfServer(
        load_schema("agent"), device, device.start(), clock=CLOCK, access=access, keeper=device
    )
    public = USER.convert_to_public().export_public_key().decode()
    port = await server.start_ssh(
        "127.0.0.1",
        0,
        [HOST.export_private_key().decode()],
        {name: [public] for name in GROUPS},
        groups=GROUPS,
        recovery=frozenset({"root"}),
    )
    async with AsyncExitStack() as clients:
        yield Place(server, access, port, clients)
    await server.close()


async def denied(call: object) -> str:
    with pytest.raises(RpcError) as refused:
        await call  # type: ignore[misc] # a coroutine
    assert refused.value.tag == "access-denied"
    return refused.value.path.replace("etsi-qkd-sdn-node:", "")


def tags(elements: Sequence[etree._Element]) -> list[str]:
    return [etree.QName(found).localname for found in elements]


async def test_who_belongs_to_a_full_group_sees_and_changes_everything(place: Place) -> None:
    client = await place.client("ctl")
    config = await client.get_config()
    assert tags(config) == ["qkd_node", "nacm"]
    await client.edit_config("running", nacm("<read-default>permit</read-default>"))
    state = await client.get([nacm("<denied-operations/><denied-data-writes/>")])
    assert [leaf.text for leaf in state[0]] == ["0", "0"]
    victim = await place.client("audit")
    await client.kill_session(victim.session_id)


async def test_who_only_reads_is_kept_from_everything_else(place: Place) -> None:
    client = await place.client("audit")
    assert tags(await client.get_config()) == ["qkd_node"]
    assert "nacm" not in tags(await client.get())
    await client.validate("running")
    for call in (client.lock(), client.commit(), client.discard(), client.kill_session(1)):
        assert await denied(call) == ""
    with structlog.testing.capture_logs() as lines:
        await denied(client.edit_config("running", node("<qkdn_location_id>x</qkdn_location_id>")))
    (line,) = [line for line in lines if line.get("operation", "").endswith("edit-config")]
    assert line["user"] == "audit"
    assert line["outcome"].startswith("access-denied")
    assert line["message_id"]
    root = await place.client("root")
    (counters,) = await root.get([nacm("<denied-operations/><denied-data-writes/><denied-notifications/>")])
    assert [leaf.text for leaf in counters] == ["5", "0", "0"]


async def test_who_is_in_no_group_can_only_go(place: Place) -> None:
    client = await place.client("nobody")
    await denied(client.get_config())
    await client.close()


async def test_rules_for_tenants_hide_and_protect_what_is_not_theirs(place: Place) -> None:
    ctl, tenant = await place.client("ctl"), await place.client("tenant")
    path = "/q:qkd_node/q:qkd_applications/q:qkd_app"
    rules = (
        "<rule-list nc:operation='create' xmlns:y='urn:ietf:params:xml:ns:yang:1' y:insert='first'>"
        "<name>tenants</name><group>tenants</group>"
        "<rule><name>calls</name><rpc-name>*</rpc-name><action>permit</action></rule>"
        f"<rule><name>own</name><path>{path}[q:server_app_id=$USER]</path><action>permit</action></rule>"
        f"<rule><name>others</name><path>{path}</path><action>deny</action></rule></rule-list>"
    )
    await ctl.edit_config("running", nacm(rules))
    entries = "".join(
        f"<qkd_app><app_id>{APP.format(n)}</app_id><app_type xmlns:t='urn:etsi:qkd:yang:etsi-qkd-node-types'>"
        f"t:CLIENT</app_type><server_app_id>{sae}</server_app_id><client_app_id>far</client_app_id></qkd_app>"
        for n, sae in ((1, "tenant"), (2, "other"))
    )
    await ctl.edit_config("candidate", node(f"<qkd_applications>{entries}</qkd_applications>"))

    def app(number: int, inner: str, operation: str = "merge") -> etree._Element:
        entry = f"<qkd_app nc:operation='{operation}'><app_id>{APP.format(number)}</app_id>{inner}</qkd_app>"
        return node(f"<qkd_applications>{entry}</qkd_applications>")

    seen = await tenant.get_config("candidate")
    assert [found.text for found in seen[0].iter(f"{{{ETSI}}}app_id")] == [APP.format(1)]
    selected = await tenant.rpc(
        element(
            f'<get-config xmlns="{BASE}" xmlns:q="{ETSI}"><source><candidate/></source>'
            '<filter type="xpath" select="//q:server_app_id"/></get-config>'
        )
    )
    assert [found.text for found in selected.iter(f"{{{ETSI}}}server_app_id")] == ["tenant"]
    await tenant.edit_config("candidate", app(1, "<app_priority>3</app_priority>"))
    where = await denied(tenant.edit_config("candidate", app(2, "<app_priority>3</app_priority>")))
    assert where == f"/qkd_node/qkd_applications/qkd_app[app_id='{APP.format(2)}']/app_priority"
    await denied(tenant.edit_config("candidate", app(2, "", "remove")))
    # The candidate of all is committed as one: whoever commits answers for what others wrote into it.
    assert await denied(tenant.commit()) == f"/qkd_node/qkd_applications/qkd_app[app_id='{APP.format(2)}']"


async def test_a_rule_with_a_path_that_means_nothing_is_refused(place: Place) -> None:
    client = await place.client("ctl")
    rule = "<rule-list><name>l</name><rule><name>r</name><path>/z:a</path><action>deny</action></rule>"
    with pytest.raises(RpcError, match="'z' is not declared"):
        await client.edit_config("running", nacm(f"{rule}</rule-list>"))


async def test_rules_outlive_the_process_and_settings_of_the_node_do_not_touch_them(
    place: Place, tmp_path: Path
) -> None:
    client = await place.client("ctl")
    await client.edit_config("running", nacm("<read-default>deny</read-default>"))
    running = endpoint(tmp_path).start()
    assert [found.tag for found in running] == [QKD_NODE, f"{{{NACM}}}nacm"]
    assert running[1].findtext(f"{{{NACM}}}read-default") == "deny"
    load_schema("agent").validate(running)


async def test_what_is_removed_is_removed_and_the_module_s_defaults_hold(place: Place) -> None:
    client, root = await place.client("ctl"), await place.client("root")
    gone = f'<nacm xmlns="{NACM}" xmlns:nc="{BASE}" nc:operation="delete"/>'
    with pytest.raises(RpcError) as locked_out:  # ctl could not write rules any more
        await client.edit_config("running", element(gone))
    assert (locked_out.value.tag, locked_out.value.app_tag) == ("operation-failed", "lockout")
    await root.edit_config("running", element(gone))
    await denied(client.edit_config("running", nacm("<read-default>permit</read-default>")))
    await root.edit_config("running", initial_nacm())
    await client.edit_config("running", nacm("<read-default>permit</read-default>"))


async def test_a_whole_configuration_without_rules_locks_nobody_out(place: Place) -> None:
    client = await place.client("ctl")
    (node,) = await client.get_config("running", [element(f'<qkd_node xmlns="{ETSI}"/>')])
    for change in (
        lambda: client.edit_config("running", [node], default_operation="replace"),
        lambda: client.rpc(
            element(
                f'<copy-config xmlns="{BASE}"><target><running/></target><source><config>'
                f"{etree.tostring(node).decode()}</config></source></copy-config>"
            )
        ),
    ):
        with pytest.raises(RpcError) as fault:
            await change()
        assert fault.value.app_tag == "lockout"
    await client.edit_config("running", nacm("<read-default>permit</read-default>"))  # nothing was changed


async def test_notifications_reach_those_who_may_have_them(place: Place) -> None:
    ctl, audit = await place.client("ctl"), await place.client("audit")
    rule = (
        "<rule-list><name>quiet</name><group>auditor</group><rule><name>r</name>"
        "<notification-name>sdqkdn_link_down</notification-name><action>deny</action></rule></rule-list>"
    )
    await ctl.edit_config("running", nacm(rule))
    for client in (ctl, audit):
        await client.create_subscription()
    for name in ("sdqkdn_link_down", "sdqkdn_link_up"):
        place.server.publish(element(f'<{name} xmlns="{ETSI}"/>'))

    async def first_of_node(client: NetconfClient) -> str:
        async for notification in client.notifications():
            if notification.content.tag.startswith(f"{{{ETSI}}}"):
                return etree.QName(notification.content).localname
        return ""

    assert await first_of_node(ctl) == "sdqkdn_link_down"
    assert await first_of_node(audit) == "sdqkdn_link_up"
    assert place.access.denied_notifications == 1


async def test_the_rules_of_the_manual_are_rules(place: Place) -> None:
    manual = (Path(__file__).parents[3] / "docs" / "netconf.md").read_text(encoding="utf-8")
    (example,) = [text.split("```")[0] for text in manual.split("```xml\n") if text.startswith("<nacm")]
    client = await place.client("ctl")
    await client.edit_config("running", element(example))
    (shown,) = await client.get_config("running", [nacm("<rule-list/>")])
    names = [found.findtext(f"{{{NACM}}}name") for found in shown]
    assert names == ["tenants", "full-access", "read-only"]
