"""The controller over NETCONF: our client, real SSH, simulated agents."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lxml import etree
from tests.controller.northbound.netconf_site import (
    AB,
    BASE,
    KWN,
    A,
    B,
    Site,
    associations,
    deleted,
    entry,
    rate,
    shown,
    status,
    xml,
)

from keyweave_controller.control.configuration import OperatorConfiguration, Policy, Tenant
from keyweave_controller.control.events import Notified
from keyweave_controller.northbound.agents_view import AgentsView
from keyweave_controller.northbound.configuration_tree import decode
from keyweave_controller.northbound.markup import al, kwn, nt, nw
from keyweave_controller.northbound.netconf_service import NetconfNorthbound
from keyweave_core.errors import SettingsError
from keyweave_core.model.link import LinkStatus
from keyweave_core.model.notifications import Event, LinkReport
from keyweave_core.netconf.client.client import NetconfClient
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.netconf.server.settings import NetconfSettings
from keyweave_lab.pki import LabPki
from keyweave_yang.schema import load_schema


@pytest.fixture
def site(tmp_path: Path, pki: LabPki) -> Site:
    return Site(tmp_path, pki)


@pytest.fixture
async def client(site: Site) -> AsyncIterator[NetconfClient]:
    async with site.running(), site.client() as client:
        yield client


async def configured(client: NetconfClient) -> list[str]:
    """Which top-level trees have configuration; the policy of the settings is one."""
    return [str(top.tag) for top in await client.get_config() if len(top)]


async def test_an_association_is_configured_seen_active_and_deleted(
    site: Site, client: NetconfClient
) -> None:
    await client.edit_config("candidate", associations(entry(more=rate(5_000) + "<priority>3</priority>")))
    assert not site.engine.network.associations
    await client.commit()
    one = await shown(client)
    assert status(one) == "active"
    assert one is not None
    assert one.findtext(f"{kwn('state')}/{kwn('path')}/{kwn('bandwidth-bps')}") == "5000"
    assert one.findtext(f"{kwn('state')}/{kwn('requested-by')}") == "operator", "the user who committed"
    assert [node.text for node in one.iterfind(f"{kwn('state')}/{kwn('path')}/{kwn('node-name')}")] == [
        "A",
        "B",
        "C",
    ]
    assert kwn("key-associations") in await configured(client)
    await client.edit_config("running", deleted())
    assert await shown(client) is None
    await site.until(lambda: not any(node.applications for node in site.nodes.values()))
    assert kwn("key-associations") not in await configured(client)


async def test_a_refusal_names_the_entry_and_changes_nothing(site: Site, client: NetconfClient) -> None:
    wanted = associations(
        entry("fits", more=rate(1_000)),
        entry("large", "sae:b", "sae:c", rate(200_000)),
        entry("far", "sae:x"),
    )
    await client.edit_config("candidate", wanted)
    with pytest.raises(RpcError) as caught:
        await client.commit()
    errors = [caught.value, *caught.value.others]
    assert {error.tag for error in errors} == {"resource-denied", "operation-failed"}
    paths = {error.path.rpartition("[")[2] for error in errors}
    assert any("'large'" in path for path in paths)
    assert any("'far'" in path for path in paths)
    assert any("lacks" in error.message for error in errors)
    assert kwn("key-associations") not in await configured(client)
    await site.until(lambda: not any(one.live for one in site.engine.network.associations.values()))
    assert not any(node.links for node in site.nodes.values())


async def test_a_change_of_qualities_is_an_update(site: Site, client: NetconfClient) -> None:
    await client.edit_config("running", associations(entry(more=rate(5_000))))
    before = next(iter(site.engine.network.associations))
    await client.edit_config("running", associations(entry(more=rate(9_000))))
    assert site.engine.network.associations[before].reserved_bps == 9_000
    assert len(site.engine.network.associations) == 1


async def test_policy_tenants_and_tariff_take_effect_at_once(site: Site, client: NetconfClient) -> None:
    policy = (await client.get_config())[0]
    assert policy.findtext(kwn("closed-kept")) == "50"  # of the settings
    await client.edit_config(
        "running",
        [
            xml(f"<policy {KWN}><max-relay-hops>1</max-relay-hops></policy>"),
            xml(f"<tariff {KWN}><currency>CHF</currency><per-mbit>0.50</per-mbit></tariff>"),
            xml(
                f"<tenants {KWN}><tenant><name>bank</name><application>sae:a</application>"
                "<max-associations>0</max-associations></tenant></tenants>"
            ),
        ],
    )
    with pytest.raises(RpcError, match="2 links apart"):
        await client.edit_config("running", associations(entry("far", "sae:a2")))
    with pytest.raises(RpcError, match="tenant bank has 0 key associations of at most 0"):
        await client.edit_config("running", associations(entry("near", "sae:a", "sae:b")))
    bill = await client.rpc(xml(f"<get-bill {KWN}/>"))
    assert bill.findtext(f"{kwn('currency')}") == "CHF"
    assert site.engine.network.policy == Policy(max_relay_hops=1, closed_kept=50)


async def test_everything_shown_is_valid(site: Site, client: NetconfClient) -> None:
    await client.edit_config(
        "running",
        [
            associations(entry()),
            xml(
                f"<tenants {KWN}><tenant><name>bank</name><application>sae:a</application></tenant></tenants>"
            ),
        ],
    )
    report = LinkReport(link_id=AB, status=LinkStatus.OFF)
    site.engine.submit(Notified(at=site.clock.now(), node_id=A, notification=Event(link=report)))
    await site.until(site.engine.management.alarms)
    tops = {top.tag: top for top in await client.get()}
    ours = [
        tops[tag]
        for tag in (nw("networks"), al("alarms"), *map(kwn, ("key-associations", "tenants", "inventory")))
    ]
    load_schema("controller").validate_data(ours)
    network = tops[nw("networks")].find(nw("network"))
    assert len(network.findall(nw("node"))) == 3
    assert len(network.findall(nt("link"))) == 4
    assert {one.findtext(al("resource")) for one in tops[al("alarms")].iter(al("alarm"))} >= {f"link:{AB}"}
    tenant = tops[kwn("tenants")].find(kwn("tenant"))
    assert tenant.findtext(f"{kwn('state')}/{kwn('associations')}") == "1"
    assert status(await shown(client)) == "suspended"


async def test_readers_share_the_trees_and_change_nothing_in_them(site: Site, client: NetconfClient) -> None:
    await client.edit_config("running", associations(entry()))

    async def everything() -> bytes:
        tops = [one for one in await client.get() if one.tag in (nw("networks"), kwn("key-associations"))]
        return b"".join(etree.tostring(one, method="c14n") for one in tops)

    before = await everything()
    nmda = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
    stores = "urn:ietf:params:xml:ns:yang:ietf-datastores"
    for more in ("<with-origin/>", "<max-depth>3</max-depth>", "<config-filter>false</config-filter>"):
        request = (
            f'<get-data xmlns="{nmda}" xmlns:ds="{stores}">'
            f"<datastore>ds:operational</datastore>{more}</get-data>"
        )
        await client.rpc(xml(request))
    await client.get(
        xml(f"<key-associations {KWN}><association><name>one</name></association></key-associations>")
    )
    assert await everything() == before


async def test_a_restart_keeps_what_was_confirmed_and_nothing_else(site: Site) -> None:
    async with site.running(), site.client() as client:
        await client.edit_config("running", associations(entry()))
        await client.edit_config("candidate", associations(entry("two", "sae:b")))
        await client.rpc(xml(f'<commit xmlns="{BASE}"><confirmed/><persist>x</persist></commit>'))
        assert status(await shown(client, "two")) == "active"
        assert [one.name for one in site.engine.network.state.kept.associations] == ["one"]
        events = site.engine.seq
    assert events
    async with site.running(), site.client() as client:
        assert status(await shown(client, "one")) == "active"
        assert await shown(client, "two") is None
        policy, wanted, _ = await client.get_config()
        assert policy.tag == kwn("policy")
        assert [one.findtext(kwn("name")) for one in wanted] == ["one"]


async def test_a_confirmed_commit_is_taken_back_when_its_session_ends(
    site: Site, client: NetconfClient
) -> None:
    async with site.client() as other:
        await other.edit_config("candidate", associations(entry()))
        await other.rpc(xml(f'<commit xmlns="{BASE}"><confirmed/></commit>'))
        assert status(await shown(client)) == "active"
    await site.until(lambda: not any(one.live for one in site.engine.network.associations.values()))
    assert site.engine.network.state.kept is None


async def test_what_another_interface_configures_is_in_running(site: Site, client: NetconfClient) -> None:
    answer = await site.configurator.change(
        lambda now: OperatorConfiguration(
            policy=now.policy, tenants=(Tenant(name="bank"),), associations=now.associations
        ),
        requester="gui",
    )
    assert not answer.reasons
    async with asyncio.timeout(5):
        while kwn("tenants") not in [top.tag for top in await client.get_config()]:
            await asyncio.sleep(0.01)
    await client.edit_config("running", associations(entry()))
    assert [tenant.name for tenant in site.engine.network.state.operator.tenants] == ["bank"]


async def test_a_change_that_takes_too_long_is_taken_back(site: Site) -> None:
    site.ask_limit_s = 0.2
    site.nodes[B].latency_s = 1.0
    async with site.running(), site.client() as client:
        with pytest.raises(RpcError, match="in time"):
            await client.edit_config("running", associations(entry()))
        assert site.engine.network.state.operator == OperatorConfiguration()


async def test_questions(site: Site, client: NetconfClient) -> None:
    await client.edit_config("running", associations(entry(more=rate(5_000))))
    app_id = next(iter(site.engine.network.associations))
    reply = await client.rpc(
        xml(
            f"<compute-paths {KWN}><source>A</source><destination>sae:c</destination>"
            "<number>3</number></compute-paths>"
        )
    )
    (path,) = reply.iterchildren(kwn("path"))
    assert path.findtext(kwn("hops")) == "2"
    assert path.findtext(kwn("bottleneck-bps")) == "84687"  # 5 000 bit/s of keys take 5 313 of 90 000
    assert "no other such path" in (reply.findtext(kwn("reason")) or "")
    reply = await client.rpc(
        xml(
            f"<what-if {KWN}><fail-link>{AB}</fail-link><add-demand><id>d</id><source>sae:b</source>"
            "<destination>sae:c</destination></add-demand></what-if>"
        )
    )
    assert reply.findtext(f"{kwn('lost')}/{kwn('id')}") == app_id
    assert reply.findtext(f"{kwn('carried')}/{kwn('id')}") == "d"
    for text, path in (
        (
            f"<compute-paths {KWN}><source>A</source><destination>Z</destination></compute-paths>",
            "destination",
        ),
        (f"<what-if {KWN}><fail-link>{AB[:-1]}0</fail-link></what-if>", "fail-link"),
        (f"<compute-paths {KWN}><source>A</source></compute-paths>", ""),
    ):
        with pytest.raises(RpcError) as caught:
            await client.rpc(xml(text))
        assert path in caught.value.path


async def test_only_what_is_not_configured_can_be_closed_by_rpc(site: Site, client: NetconfClient) -> None:
    await client.edit_config("running", associations(entry()))
    app_id = next(iter(site.engine.network.associations))
    with pytest.raises(RpcError, match="configured as one"):
        await client.rpc(xml(f"<close-association {KWN}><app-id>{app_id}</app-id></close-association>"))
    with pytest.raises(RpcError, match="there is no association"):
        await client.rpc(xml(f"<close-association {KWN}><app-id>{A}</app-id></close-association>"))


async def test_changes_are_notified_once(site: Site, client: NetconfClient) -> None:
    schema = load_schema("controller")
    async with site.client() as listener:
        await listener.create_subscription()
        await client.edit_config("running", associations(entry()))
        report = LinkReport(link_id=AB, status=LinkStatus.OFF, message="digger")
        site.engine.submit(Notified(at=site.clock.now(), node_id=A, notification=Event(link=report)))
        seen: dict[str, list[etree._Element]] = {}
        async with asyncio.timeout(10):
            async for notification in listener.notifications():
                content = notification.content
                if etree.QName(content).namespace in (
                    etree.QName(kwn("x")).namespace,
                    etree.QName(al("x")).namespace,
                ):
                    schema.validate_notification(content)
                    seen.setdefault(str(content.tag), []).append(content)
                alarms = seen.get(al("alarm-notification"), [])
                if len(alarms) >= 2:
                    break
        told = [one.findtext(kwn("status")) for one in seen[kwn("association-changed")]]
        assert told[-2:] == ["active", "suspended"]
        assert [one.findtext(kwn("status")) for one in seen[kwn("link-changed")]] == ["off"]
        assert seen[kwn("link-changed")][0].findtext(kwn("down-reason")) == "digger"


async def test_an_entry_is_told_by_its_name_and_a_commit_changes_running_once(
    site: Site, client: NetconfClient
) -> None:
    async with site.client() as listener, asyncio.timeout(10):
        await listener.create_subscription()
        await client.edit_config("running", associations(entry()))
        await client.edit_config("running", associations(entry(more=rate(5_000))))
        await client.edit_config("running", deleted())
        told: list[tuple[str | None, str | None]] = []
        changes: list[etree._Element] = []
        async for notification in listener.notifications():
            content = notification.content
            if content.tag == kwn("association-changed"):
                told.append((content.findtext(kwn("name")), content.findtext(kwn("status"))))
            elif etree.QName(content).localname == "netconf-config-change":
                changes.append(content)
            if told and told[-1][1] == "closed" and len(changes) >= 3:
                break
    assert {name for name, _ in told} == {"one"}
    users = [change.findtext("{*}changed-by/{*}username") for change in changes]
    assert users == ["operator"] * 3, "each by its commit, none by what follows from it"
    assert all(change.find("{*}edit") is not None for change in changes)


def test_a_startup_datastore_is_not_for_controllers(site: Site) -> None:
    settings = NetconfSettings(host_key=site.host.private_key, users=site.settings.users, startup=True)
    with pytest.raises(SettingsError, match="startup"):
        NetconfNorthbound(
            settings=settings, agents=AgentsView(()), clock=site.clock, new_id=str, uniform=lambda: 0.5
        )


async def test_who_only_reads_changes_nothing(site: Site, client: NetconfClient) -> None:
    await client.edit_config("running", associations(entry()))
    async with site.client("viewer") as viewer:
        assert status(await shown(viewer)) == "active"
        reply = await viewer.rpc(
            xml(f"<compute-paths {KWN}><source>A</source><destination>C</destination></compute-paths>")
        )
        assert reply.find(kwn("path")) is not None
        app_id = next(iter(site.engine.network.associations))
        for attempt in (
            viewer.edit_config("running", deleted()),
            viewer.edit_config("candidate", associations(entry("two", "sae:b"))),
            viewer.rpc(xml(f"<close-association {KWN}><app-id>{app_id}</app-id></close-association>")),
            viewer.rpc(xml(f"<release-link {KWN}><link>A-B</link></release-link>")),
        ):
            with pytest.raises(RpcError) as caught:
                await attempt
            assert caught.value.tag == "access-denied"
    assert status(await shown(client)) == "active"


async def test_rules_of_access_are_configuration_that_is_kept(site: Site) -> None:
    nacm = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
    async with site.running(), site.client() as client:
        await client.edit_config(
            "running", xml(f'<nacm xmlns="{nacm}"><read-default>deny</read-default></nacm>')
        )
        async with site.client("viewer") as viewer:
            assert await shown(viewer) is None
            assert await viewer.get_config() == []
    async with site.running(), site.client("viewer") as viewer:
        assert await viewer.get_config() == []
    async with site.running(), site.client() as client:
        held = {top.tag: top for top in await client.get_config()}
        assert held[f"{{{nacm}}}nacm"].findtext(f"{{{nacm}}}read-default") == "deny"


async def test_running_and_state_are_found_equal_when_they_are(site: Site, client: NetconfClient) -> None:
    def equal() -> bool:
        device, server = site.northbound._device, site.northbound._server
        assert device is not None
        assert server is not None
        return decode(device.configuration()) == decode(server.running())

    assert equal()
    nacm = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
    more = "<expires-at>2099-01-01T00:00:00+01:00</expires-at><priority>0</priority>"
    for edit in (
        associations(entry(more=rate(5_000) + more)),
        xml(f"<policy {KWN}><closed-kept>1000</closed-kept><usable-share>0.8</usable-share></policy>"),
        xml(f'<x:nacm xmlns:x="{nacm}"><x:exec-default>permit</x:exec-default></x:nacm>'),
        deleted(),
    ):
        await client.edit_config("running", edit)
        assert equal()


AL = 'xmlns="urn:ietf:params:xml:ns:yang:ietf-alarms"'


def action(inside: str) -> etree._Element:
    return xml(
        f'<action xmlns="urn:ietf:params:xml:ns:yang:1"><alarms {AL}><alarm-list>{inside}'
        "</alarm-list></alarms></action>"
    )


def noted(state: str, resource: str = f"link:{AB}") -> etree._Element:
    return action(
        f"<alarm><resource>{resource}</resource>"
        '<alarm-type-id xmlns:q="urn:keyweave:yang:keyweave-qkd-alarms">'
        f"q:link-down</alarm-type-id><alarm-type-qualifier/><set-operator-state><state>{state}</state>"
        "<text>seen</text></set-operator-state></alarm>"
    )


def purge(more: str = "<alarm-clearance-status>cleared</alarm-clearance-status>") -> etree._Element:
    return action(f"<purge-alarms>{more}</purge-alarms>")


async def test_what_an_operator_makes_of_an_alarm_is_told(site: Site, client: NetconfClient) -> None:
    report = LinkReport(link_id=AB, status=LinkStatus.OFF)
    site.engine.submit(Notified(at=site.clock.now(), node_id=A, notification=Event(link=report)))
    await site.until(site.engine.management.alarms)
    async with site.client("viewer") as listener, asyncio.timeout(10):
        await listener.create_subscription()
        await client.rpc(noted("ack"))
        await client.rpc(noted("closed"))
        told: list[etree._Element] = []
        async for notification in listener.notifications():
            if notification.content.tag == al("alarms"):
                told.append(notification.content)
            if len(told) == 2:
                break
    for content, state in zip(told, ("ack", "closed"), strict=True):
        (entry,) = content.findall(f"{al('alarm-list')}/{al('alarm')}")
        assert entry.findtext(al("resource")) == f"link:{AB}"
        action = entry[-1]
        assert [etree.QName(one).localname for one in entry] == [
            "resource",
            "alarm-type-id",
            "alarm-type-qualifier",
            "operator-action",
        ]
        assert [action.findtext(al(name)) for name in ("operator", "state", "text")] == [
            "operator",
            state,
            "seen",
        ]


async def test_operators_note_and_purge_alarms(site: Site, client: NetconfClient) -> None:
    def tell(status: LinkStatus) -> None:
        report = LinkReport(link_id=AB, status=status)
        site.engine.submit(Notified(at=site.clock.now(), node_id=A, notification=Event(link=report)))

    async def listed() -> list[etree._Element]:
        (alarms,) = await client.get(xml(f"<alarms {AL}/>"))
        load_schema("controller").validate_data([alarms])
        return alarms.findall(f"{al('alarm-list')}/{al('alarm')}")

    tell(LinkStatus.OFF)
    await site.until(site.engine.management.alarms)
    await client.rpc(noted("ack"))
    (one,) = await listed()
    note = one.find(al("operator-state-change"))
    assert note is not None
    assert [note.findtext(al(name)) for name in ("operator", "state", "text")] == ["operator", "ack", "seen"]
    for wrong in (
        noted("shelved"),
        noted("ack", "link:nowhere"),
        purge(""),
        purge("<alarm-clearance-status>x</alarm-clearance-status>"),
        purge("<alarm-clearance-status>any</alarm-clearance-status><older-then/>"),
    ):
        with pytest.raises(RpcError):
            await client.rpc(wrong)
    reply = await client.rpc(purge())
    assert reply.findtext(al("purged-alarms")) == "0"
    tell(LinkStatus.ACTIVE)
    await site.until(lambda: not site.engine.management.alarms())
    for more, count in (
        (
            "<alarm-clearance-status>any</alarm-clearance-status><older-than><hours>1</hours></older-than>",
            "0",
        ),
        (
            "<alarm-clearance-status>any</alarm-clearance-status><severity><above>major</above></severity>",
            "0",
        ),
        (
            "<alarm-clearance-status>any</alarm-clearance-status><operator-state-filter><user>x</user></operator-state-filter>",
            "0",
        ),
        (
            "<alarm-clearance-status>cleared</alarm-clearance-status><operator-state-filter><state>ack</state></operator-state-filter>",
            "1",
        ),
    ):
        reply = await client.rpc(purge(more))
        assert reply.findtext(al("purged-alarms")) == count
    assert await listed() == []
    async with site.client("viewer") as viewer:
        for attempt in (noted("ack"), purge()):
            with pytest.raises(RpcError) as caught:
                await viewer.rpc(attempt)
            assert caught.value.tag in ("access-denied", "data-missing")
