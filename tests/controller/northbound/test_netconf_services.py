"""Services, computed paths and explanations over NETCONF: our client, real SSH, simulated agents."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
from lxml import etree
from tests.controller.northbound.netconf_site import (
    KWN,
    Site,
    associations,
    deleted,
    entry,
    rate,
    shown,
    status,
    xml,
)

from keyweave_controller.control.configuration import LinkFacts, Policy
from keyweave_controller.control.events import Notified
from keyweave_controller.control.optical.windows import Window
from keyweave_controller.control.service import Constraints, Disjointness, Protection, Service
from keyweave_controller.control.state import AssociationState
from keyweave_controller.engine.simulation import Span, simulated_id, simulated_link_id
from keyweave_controller.northbound.markup import al, kwn, nt, nw
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import LinkStatus
from keyweave_core.model.notifications import Alarm, Concern, Event, LinkReport
from keyweave_core.netconf.client.client import NetconfClient
from keyweave_core.netconf.protocol.rpc_errors import RpcError
from keyweave_core.runtime.clock import date_and_time
from keyweave_lab.pki import LabPki
from keyweave_yang.schema import load_schema

# A square with a longer way around: A-B-D, A-C-D, A-E-F-D; A-C and C-D lie in one duct with A-E.
SPANS = [
    Span(a=a, b=b, skr_bps=100_000)
    for a, b in (("A", "B"), ("B", "D"), ("A", "C"), ("C", "D"), ("A", "E"), ("E", "F"), ("F", "D"))
]
FACTS = (
    LinkFacts(link="A-C", risk_groups=("duct",), latency_ms=7.0),
    LinkFacts(link="E-A", risk_groups=("duct",)),
    LinkFacts(link="E-F", windows=(Window(starts_at=4e9, ends_at=4e9 + 600, rate_bps=50_000),)),
)
B, C, D = (simulated_id(name) for name in "BCD")


@pytest.fixture
def site(tmp_path: Path, pki: LabPki) -> Site:
    served = {site: (f"sae:{site.lower()}", f"sae:{site.lower()}2") for site in "ABCDEF"}
    domains = {"B": (40, "north"), "C": (90, "south")}
    return Site(tmp_path, pki, spans=SPANS, served=served, link_facts=FACTS, domains=domains)


@pytest.fixture
async def client(site: Site) -> AsyncIterator[NetconfClient]:
    async with site.running(), site.client() as client:
        yield client


def one(service: str = "", more: str = "", name: str = "one") -> etree._Element:
    inside = f"<service>{service}</service>" if service else ""
    number = "2" if name == "two" else ""
    return associations(entry(name, f"sae:a{number}", f"sae:d{number}", inside + more))


async def ask(client: NetconfClient, operation: str, inside: str) -> etree._Element:
    """The reply to an rpc of ours, whose output is valid."""
    reply = await client.rpc(xml(f"<{operation} {KWN}>{inside}</{operation}>"))
    load_schema("controller").validate_rpc_output(kwn(operation), reply)
    return reply


def told(element: etree._Element | None, name: str) -> list[str]:
    """Texts of the leaves of a name anywhere below."""
    return [] if element is None else [leaf.text or "" for leaf in element.iter(kwn(name))]


def names(paths: Iterable[etree._Element]) -> list[str]:
    return ["".join(leaf.text or "" for leaf in path.iterchildren(kwn("node-name"))) for path in paths]


ENDS = "<source>sae:a</source><destination>sae:d</destination>"


class TestConfigured:
    """The service of an entry of the configuration."""

    async def test_a_whole_service_comes_back_as_it_was_written(
        self, site: Site, client: NetconfClient
    ) -> None:
        service = (
            "<protection>1:1</protection><disjointness>links</disjointness><ways>3</ways>"
            "<preemptible>false</preemptible><key-bits>512</key-bits><strategy>min-hop</strategy>"
            "<constraints><max-hops>5</max-hops><max-latency-ms>20.5</max-latency-ms><min-trust>30</min-trust>"
            "<exclude-link>E-F</exclude-link><exclude-node>F</exclude-node>"
            "<min-stored-bits>0</min-stored-bits></constraints>"
        )
        await client.edit_config("running", one(service))
        (record,) = site.engine.network.associations.values()
        assert record.service == Service(
            protection=Protection.ONE_TO_ONE,
            disjointness=Disjointness.LINKS,
            ways=3,
            preemptible=False,
            key_bits=512,
            strategy="min-hop",
            constraints=Constraints(
                max_hops=5,
                max_latency_ms=20.5,
                min_trust=30,
                exclude_links=frozenset({simulated_link_id("E", "F")}),
                exclude_nodes=frozenset({simulated_id("F")}),
            ),
        )
        seen = await shown(client)
        assert told(seen, "exclude-link") == ["E-F"], "in the words of the operator, once"
        state = seen.find(kwn("state")) if seen is not None else None
        assert state is not None
        assert sorted(names([*state.iter(kwn("path")), *state.iter(kwn("other-path"))])) == ["ABD", "ACD"]
        load_schema("controller").validate_data([associations_of(await client.get())])
        await client.edit_config("running", one("<key-bits>512</key-bits>", name="two"))
        running = associations_of(await client.get_config())
        assert told(running, "exclude-node") == ["F"], "no change of anything else rewrites it"

    @pytest.mark.parametrize(
        ("service", "more", "where", "words"),
        [
            ("<strategy>luck</strategy>", "", "service/strategy", "there are balanced"),
            ("<constraints><exclude-node>Z</exclude-node></constraints>", "", "exclude-node", "Z"),
            ("<constraints><include-link>A-F</include-link></constraints>", "", "include-link", "A-F"),
            ("<constraints><exclude-risk>moon</exclude-risk></constraints>", "", "exclude-risk", "moon"),
            (
                f"<constraints><include-node>B</include-node><exclude-node>{B}</exclude-node></constraints>",
                "",
                "service",
                "both included and excluded",
            ),
            (
                "<class>scheduled</class><starts-at>2099-01-02T00:00:00Z</starts-at>",
                "<expires-at>2099-01-01T00:00:00Z</expires-at>",
                "service",
                "expire before it starts",
            ),
            (
                "<starts-at>2099-02-30T00:00:00Z</starts-at><class>scheduled</class>",
                "<expires-at>2099-01-01T00:00:00Z</expires-at>",
                "service/starts-at",
                "no moment",
            ),
            ("<key-bits>129</key-bits>", "", "key-bits", "whole bytes"),
            ("<ways>9</ways>", "", "ways", "2..8"),
        ],
    )
    async def test_what_cannot_be_is_refused_with_its_path(
        self, site: Site, client: NetconfClient, service: str, more: str, where: str, words: str
    ) -> None:
        with pytest.raises(RpcError, match=words) as caught:
            await client.edit_config("running", one(service, more))
        path = caught.value.path.replace("keyweave-qkd-network:", "")
        assert path.startswith("/key-associations/association[name='one']")
        assert path.endswith(where)
        assert not site.engine.network.associations

    async def test_a_change_of_service_is_an_update(self, site: Site, client: NetconfClient) -> None:
        await client.edit_config("running", one())
        (record,) = site.engine.network.associations.values()
        await client.edit_config("running", one("<protection>1+1</protection>"))
        seen = await shown(client)
        assert status(seen) == "active"
        assert told(seen, "app-id") == [record.app_id]
        assert len(record.paths) == 2
        with pytest.raises(RpcError, match="3 ways"):
            await client.edit_config("running", one("<protection>1+1</protection><ways>3</ways>"))
        assert (len(record.paths), record.service.ways) == (2, 2)

    async def test_a_refusal_tells_what_would_have_been_granted(
        self, site: Site, client: NetconfClient
    ) -> None:
        with pytest.raises(RpcError) as caught:
            await client.edit_config("running", one(more=rate(200_000)))
        errors = [caught.value, *caught.value.others]
        found = [text for error in errors for tag, text in error.info if tag == kwn("alternative")]
        assert found
        assert any("84705" in text for text in found), "the highest rate that fits"
        assert any("best" in text for text in found)
        assert errors[0].tag == "resource-denied"

    async def test_what_is_booked_is_shown_with_its_links(self, site: Site, client: NetconfClient) -> None:
        start, end = "2099-01-01T00:00:00Z", "2099-01-02T00:00:00Z"
        service = f"<class>scheduled</class><starts-at>{start}</starts-at>"
        await client.edit_config("running", one(service, rate(5_000) + f"<expires-at>{end}</expires-at>"))
        seen = await shown(client)
        assert status(seen) == "waiting"
        assert seen is not None
        (booked,) = seen.iter(kwn("booked-path"))
        links = told(booked, "link-id")
        assert len(links) == 2
        networks = next(top for top in await client.get() if top.tag == nw("networks"))
        entries = {
            link.findtext(f"{kwn('qkd')}/{kwn('link-id')}"): booking
            for link in networks.iter(nt("link"))
            for booking in link.iter(kwn("booking"))
        }
        assert sorted(entries) == sorted(links)
        assert {each.findtext(kwn("bandwidth-bps")) for each in entries.values()} == {"5313"}
        load_schema("controller").validate_data([networks, associations_of(await client.get())])
        await client.edit_config("running", deleted())
        networks = next(top for top in await client.get() if top.tag == nw("networks"))
        assert not list(networks.iter(kwn("booking")))

    async def test_names_outlive_the_nodes_they_name(self, site: Site) -> None:
        """A restart knows the ids; the former names in running mean the same."""
        service = "<constraints><exclude-node>B</exclude-node></constraints>"
        async with site.running(), site.client() as client:
            await client.edit_config("running", one(service))
        async with site.running(), site.client() as client:
            (wanted,) = site.engine.network.state.operator.associations
            assert wanted.service.constraints.exclude_nodes == {B}
            assert told(associations_of(await client.get_config()), "exclude-node") == [B]
            await client.edit_config("running", one(service, "<priority>2</priority>"))
            (wanted,) = site.engine.network.state.operator.associations
            assert wanted.service.constraints.exclude_nodes == {B}


async def test_the_whole_policy_is_configuration(site: Site, client: NetconfClient) -> None:
    await client.edit_config(
        "running",
        xml(
            f"<policy {KWN}><guaranteed-strategy>min-hop</guaranteed-strategy><most-moves>0</most-moves>"
            "<revert>false</revert><damping-reuse>0.5</damping-reuse></policy>"
        ),
    )
    policy = site.engine.network.policy
    assert (policy.guaranteed_strategy, policy.most_moves, policy.revert) == ("min-hop", 0, False)
    assert policy.damping_reuse == 0.5
    assert policy.damping_suppress == Policy().damping_suppress
    (shown_policy,) = [top for top in await client.get() if top.tag == kwn("policy")]
    assert {"balanced", "min-hop", "widest"} <= set(told(shown_policy, "known-strategy"))
    load_schema("controller").validate_data([shown_policy])
    for inside, where in (
        ("<best-effort-strategy>luck</best-effort-strategy>", "best-effort-strategy"),
        ("<damping-suppress>0.9</damping-suppress>", "damping-suppress"),
        ("<move-budget>10001</move-budget>", "move-budget"),
        ("<damping-reuse>7</damping-reuse><damping-suppress>6</damping-suppress>", "policy"),
    ):
        with pytest.raises(RpcError) as caught:
            await client.edit_config("running", xml(f"<policy {KWN}>{inside}</policy>"))
        assert caught.value.path.endswith(where)
    assert site.engine.network.policy == policy


class TestPaths:
    """compute-paths and deploy-path."""

    async def test_a_service_bounds_what_is_computed(self, client: NetconfClient) -> None:
        reply = await ask(client, "compute-paths", f"{ENDS}<number>5</number>")
        assert sorted(names(reply.iterchildren(kwn("path")))) == ["ABD", "ACD"], "E-F has no window now"
        assert told(reply, "strategy") == ["balanced"]
        for bounds, found in (
            ("<min-trust>50</min-trust>", ["ACD"]),
            ("<domain>north</domain>", ["ABD"]),
            ("<exclude-risk>duct</exclude-risk>", ["ABD"]),
            ("<max-latency-ms>5</max-latency-ms>", ["ABD"]),
            ("<include-link>C-A</include-link>", ["ACD"]),
            (f"<exclude-node>{B}</exclude-node>", ["ACD"]),
            ("<direct-only>true</direct-only>", []),
        ):
            service = f"<service><constraints>{bounds}</constraints></service>"
            reply = await ask(client, "compute-paths", f"{ENDS}{service}<number>5</number>")
            assert names(reply.iterchildren(kwn("path"))) == found, bounds
            assert told(reply, "reason")
        reply = await ask(client, "compute-paths", f"{ENDS}<exclude-node>B</exclude-node>")
        assert names(reply.iterchildren(kwn("path"))) == ["ACD"], "the short form"

    async def test_disjoint_groups_and_trees(self, client: NetconfClient) -> None:
        service = "<service><protection>1+1</protection></service>"
        reply = await ask(client, "compute-paths", ENDS + service)
        (path,) = reply.iterchildren(kwn("path"))
        assert sorted(names([path, *path.iterchildren(kwn("other"))])) == ["ABD", "ACD"]
        assert path.findtext(kwn("total-cost")) == "4.0"
        more = "<more-destination>B</more-destination>"
        reply = await ask(client, "compute-paths", ENDS + more)
        (path,) = reply.iterchildren(kwn("path"))
        assert names([path, *path.iterchildren(kwn("other"))]) == ["ABD", "AB"]
        assert path.find(kwn("expires-at")) is None
        for wrong, where in (
            (ENDS + service + more, "more-destination"),
            (ENDS + "<more-destination>A</more-destination>", "more-destination"),
            (ENDS + "<include-node>Z</include-node>", "compute-paths/include-node"),
            (
                ENDS + "<service><constraints><include-node>Z</include-node></constraints></service>",
                "service/constraints/include-node",
            ),
            ("<source>A</source><destination>nobody</destination>", "destination"),
        ):
            with pytest.raises(RpcError) as caught:
                await ask(client, "compute-paths", wrong)
            assert caught.value.path.replace("keyweave-qkd-network:", "").endswith(where)

    async def test_a_computed_path_is_deployed(self, site: Site, client: NetconfClient) -> None:
        reply = await ask(client, "compute-paths", f"{ENDS}<exclude-node>B</exclude-node>")
        (path_id,) = told(reply, "path-id")
        reply = await ask(client, "deploy-path", f"{ENDS}<path-id>{path_id}</path-id>")
        assert told(reply, "status") == ["active"]
        (record,) = site.engine.network.associations.values()
        assert record.path is not None
        assert record.path.nodes[1] == C
        assert record.requested_by == "operator"
        await client.rpc(
            xml(f"<close-association {KWN}><app-id>{record.app_id}</app-id></close-association>")
        )

    async def test_a_link_in_quarantine_is_shown_and_released(
        self, site: Site, client: NetconfClient
    ) -> None:
        with pytest.raises(RpcError, match="is in no quarantine"):
            await client.rpc(xml(f"<release-link {KWN}><link>A-B</link></release-link>"))
        with pytest.raises(RpcError, match="there is no link A-Z"):
            await client.rpc(xml(f"<release-link {KWN}><link>A-Z</link></release-link>"))
        link_id = simulated_link_id("A", "B")
        report = LinkReport(link_id=link_id, message="QBER 14.0 %", concern=Concern.INTRUSION)
        for name in "AB":
            told_it = Notified(at=4e9, node_id=simulated_id(name), notification=Alarm(link=report))
            site.engine.submit(told_it)
        async with asyncio.timeout(5):
            while not site.engine.network.links[link_id].quarantine:
                await asyncio.sleep(0.01)
        networks = next(top for top in await client.get() if top.tag == nw("networks"))
        load_schema("controller").validate_data([networks])
        assert [each.text for each in networks.iter(kwn("quarantine"))] == ["QBER 14.0 %"] * 2
        await client.rpc(xml(f"<release-link {KWN}><link>B-A</link></release-link>"))
        async with asyncio.timeout(5):
            while not all(site.nodes[simulated_id(name)].released for name in "AB"):
                await asyncio.sleep(0.01)

    async def test_a_disjoint_group_is_deployed_by_id_and_by_links(
        self, site: Site, client: NetconfClient
    ) -> None:
        service = "<service><protection>1:1</protection></service>"
        reply = await ask(client, "compute-paths", ENDS + service)
        path_id = reply.findtext(f"{kwn('path')}/{kwn('path-id')}")
        await ask(client, "deploy-path", f"{ENDS}<path-id>{path_id}</path-id>{service}")
        other = "<source>sae:a2</source><destination>sae:d2</destination>"
        links = (
            "<link>A-C</link><link>C-D</link>"
            "<other><number>1</number><link>A-B</link><link>B-D</link></other>"
        )
        await ask(client, "deploy-path", other + links + service + rate(1)[5:-6])
        ways = [[path.nodes[1] for path in each.paths] for each in site.engine.network.associations.values()]
        assert sorted(ways[0]) == sorted([B, C])
        assert ways[1] == [C, B]

    async def test_a_stale_path_is_a_conflict_with_fresh_ones(
        self, site: Site, client: NetconfClient
    ) -> None:
        reply = await ask(client, "compute-paths", f"{ENDS}<exclude-node>C</exclude-node>")
        (path_id,) = told(reply, "path-id")
        report = LinkReport(link_id=simulated_link_id("A", "B"), status=LinkStatus.OFF)
        site.engine.submit(
            Notified(at=site.clock.now(), node_id=simulated_id("A"), notification=Event(link=report))
        )
        await site.until(site.engine.management.alarms)
        for inside, words in (
            (f"<path-id>{path_id}</path-id>", "B-A|A-B"),
            ("<path-id>0123456789abcdef</path-id>", "is not known, or older than 60 s"),
            ("<link>A-B</link><link>B-D</link>", "B-A|A-B"),
        ):
            with pytest.raises(RpcError, match=words) as caught:
                await ask(client, "deploy-path", ENDS + inside)
            error = caught.value
            assert (error.tag, error.app_tag) == ("operation-failed", "stale-path")
            (fresh,) = [text for tag, text in error.info if tag == kwn("path")]
            assert "ACD" in fresh
        assert not site.engine.network.associations

    async def test_what_is_wrong_is_no_conflict(self, site: Site, client: NetconfClient) -> None:
        await ask(client, "deploy-path", f"{ENDS}<link>A-B</link><link>B-D</link>")
        with pytest.raises(RpcError, match="another path") as caught:
            await ask(client, "deploy-path", f"{ENDS}<link>A-C</link><link>C-D</link>")
        assert caught.value.app_tag is None
        other = "<source>sae:a2</source><destination>sae:d2</destination>"
        for inside, where in (
            ("<source>sae:x</source><destination>sae:d</destination><link>A-B</link>", "source"),
            ("<source>sae:b</source><destination>sae:b</destination><link>A-B</link>", "destination"),
            (f"{other}<link>A-Z</link>", "link"),
            (f"{other}<link>A-B</link><expires-at>2001-01-01T00:00:00Z</expires-at>", "expires-at"),
            (other, "deploy-path"),
            (f"{other}<other><number>1</number><link>A-B</link></other>", "deploy-path"),
            (f"{other}<path-id>x</path-id>", "path-id"),
        ):
            with pytest.raises(RpcError) as caught:
                await ask(client, "deploy-path", inside)
            assert caught.value.app_tag != "stale-path"
            assert caught.value.path.endswith(where), inside
        async with site.client("viewer") as viewer:
            await ask(viewer, "compute-paths", ENDS)
            with pytest.raises(RpcError) as caught:
                await ask(viewer, "deploy-path", f"{other}<link>A-B</link><link>B-D</link>")
            assert caught.value.tag == "access-denied"


class TestQuestions:
    """what-if and explain."""

    async def test_rates_risks_and_services_can_be_supposed(self, site: Site, client: NetconfClient) -> None:
        await client.edit_config("running", one("<constraints><exclude-node>B</exclude-node></constraints>"))
        app_id = next(iter(site.engine.network.associations))
        reply = await ask(client, "what-if", "<fail-risk>duct</fail-risk>")
        assert reply.findtext(f"{kwn('lost')}/{kwn('id')}") == app_id
        assert reply.findtext(f"{kwn('lost')}/{kwn('reason')}")
        assert "A" in told(next(reply.iterchildren(kwn("link"))), "node-name")
        demand = (
            "<add-demand><id>d</id><source>sae:a2</source><destination>sae:d2</destination>"
            "<min-bandwidth-bps>80000</min-bandwidth-bps>{}</add-demand>"
        )
        split = "<service><protection>1+1</protection></service>"
        reply = await ask(client, "what-if", demand.format(split))
        assert reply.findtext(f"{kwn('carried')}/{kwn('id')}") == app_id
        assert told(reply, "demand") == ["true"]
        slow = "<link-rate><link>A-B</link><rate-bps>10000</rate-bps></link-rate>"
        reply = await ask(client, "what-if", slow + demand.format(split))
        lost = reply.find(kwn("lost"))
        assert lost is not None
        assert lost.findtext(kwn("id")) == "d"
        assert told(lost, "note")
        new = "<link-rate><link>A-D</link><rate-bps>500000</rate-bps></link-rate>"
        reply = await ask(client, "what-if", new + demand.format(""))
        assert "AD" in names(reply.iterchildren(kwn("carried")))
        for wrong, where in (
            ("<fail-risk>moon</fail-risk>", "what-if/fail-risk"),
            ("<link-rate><link>A-Z</link><rate-bps>1</rate-bps></link-rate>", "link-rate/link"),
            (demand.format("<service><strategy>luck</strategy></service>"), "service/strategy"),
        ):
            with pytest.raises(RpcError) as caught:
                await ask(client, "what-if", wrong)
            assert caught.value.path.replace("keyweave-qkd-network:", "").endswith(where)

    async def test_what_is_preempted_waits_or_is_degraded_is_told_apart(
        self, site: Site, client: NetconfClient
    ) -> None:
        bounds = "<service><constraints><exclude-node>B</exclude-node></constraints></service>"
        await client.edit_config(
            "running", associations(entry("low", "sae:a", "sae:d", bounds + rate(60_000)))
        )
        app_id = next(iter(site.engine.network.associations))
        later, end = (date_and_time(time.time() + after) for after in (3_600, 7_200))
        reply = await ask(
            client,
            "what-if",
            "<add-demand><id>high</id><source>sae:a2</source><destination>sae:d2</destination>"
            f"<min-bandwidth-bps>60000</min-bandwidth-bps><priority>9</priority>{bounds}</add-demand>"
            "<add-demand><id>later</id><source>sae:b</source><destination>sae:d</destination>"
            f"<service><class>scheduled</class><starts-at>{later}</starts-at></service>"
            f"<expires-at>{end}</expires-at></add-demand>",
        )
        preempted = reply.find(kwn("preempted"))
        assert preempted is not None
        assert (preempted.findtext(kwn("id")), preempted.findtext(kwn("preempted-by"))) == (app_id, "high")
        assert reply.findtext(f"{kwn('waiting')}/{kwn('id')}") == "later"

    async def test_an_association_is_explained(self, site: Site, client: NetconfClient) -> None:
        await client.edit_config("running", one(more=rate(5_000)))
        app_id = next(iter(site.engine.network.associations))
        reply = await ask(client, "explain", "<association>one</association>")
        assert reply.findtext(kwn("app-id")) == app_id
        assert reply.findtext(kwn("status")) == "active"
        assert "active over A > " in (reply.findtext(kwn("summary")) or "")
        assert len(list(reply.iterchildren(kwn("path")))) == 1
        assert list(reply.iterchildren(kwn("other-path")))
        holder = reply.find(f"{kwn('bottleneck')}/{kwn('holder')}")
        assert holder is not None
        assert holder.findtext(kwn("reserved-bps")) == "5313"
        by_id = await ask(client, "explain", f"<association>{app_id.upper()}</association>")
        assert by_id.findtext(kwn("app-id")) == app_id
        with pytest.raises(RpcError, match="no association nobody"):
            await ask(client, "explain", "<association>nobody</association>")
        async with site.client("viewer") as viewer:
            await ask(viewer, "explain", "<association>one</association>")


async def test_what_lost_its_path_is_explained_and_shown_as_it_is(site: Site, client: NetconfClient) -> None:
    await client.edit_config("running", one("<protection>1:1</protection>"))
    (record,) = site.engine.network.associations.values()
    assert record.path is not None
    standby = record.others[0].links[0]

    def report(link_id: LinkId) -> None:
        ends = sorted(site.engine.network.links[link_id].ends)
        news = Event(link=LinkReport(link_id=link_id, status=LinkStatus.OFF))
        site.engine.submit(Notified(at=site.clock.now(), node_id=ends[0], notification=news))

    report(standby)
    await site.until(lambda: site.engine.network.links[standby].down_since)
    await site.until(lambda: record.state is AssociationState.ACTIVE)
    seen = await shown(client)
    assert told(seen, "degraded"), "it runs without its standby"
    load_schema("controller").validate_data([associations_of(await client.get())])
    reply = await ask(client, "explain", "<association>one</association>")
    assert told(reply, "degraded")
    report(record.path.links[0])
    await site.until(lambda: record.state is AssociationState.SUSPENDED)
    reply = await ask(client, "explain", "<association>one</association>")
    assert "suspended" in (reply.findtext(kwn("summary")) or "")
    assert told(reply, "reason")
    assert reply.find(kwn("bottleneck")) is not None or told(reply, "waiting-for") or told(reply, "note")


async def test_links_and_sites_are_shown_with_what_is_known_of_them(
    site: Site, client: NetconfClient
) -> None:
    (networks,) = [top for top in await client.get() if top.tag == nw("networks")]
    load_schema("controller").validate_data([networks])
    sites = {each.findtext(kwn("name")): each for each in networks.iter(kwn("qkd"))}
    assert (sites["B"].findtext(kwn("trust")), sites["B"].findtext(kwn("domain"))) == ("40", "north")
    links = {
        frozenset(told(each, "source-name") + told(each, "destination-name")): each
        for each in networks.iter(nt("link"))
    }
    assert told(links[frozenset("AC")], "risk-group") == ["duct"]
    assert told(links[frozenset("AC")], "latency-ms") == ["7.0"]
    (window,) = links[frozenset("EF")].iter(kwn("window"))
    assert window.findtext(kwn("rate-bps")) == "50000"
    assert told(links[frozenset("EF")], "limited-in-time") == ["true"]
    assert not told(links[frozenset("AB")], "limited-in-time")


async def test_moved_and_preempted_are_notified(site: Site, client: NetconfClient) -> None:
    schema = load_schema("controller")
    bounds = "<service><constraints><exclude-node>B</exclude-node></constraints></service>"
    async with site.client() as listener, asyncio.timeout(10):
        await listener.create_subscription()
        low = entry("low", "sae:a", "sae:d", bounds + rate(60_000))
        high = entry("high", "sae:a2", "sae:d2", bounds + rate(60_000) + "<priority>5</priority>")
        await client.edit_config("running", associations(low))
        await client.edit_config("running", associations(high))
        seen = []
        async for notification in listener.notifications():
            content = notification.content
            if content.tag == kwn("association-changed"):
                schema.validate_notification(content)
                seen.append(content)
                if content.findtext(kwn("preempted-by")):
                    break
    assert seen[-1].findtext(kwn("name")) == "low"
    assert seen[-1].findtext(kwn("status")) == "suspended"
    assert any(told(each, "virtual-link-id") for each in seen)
    (record,) = [each for each in site.engine.network.associations.values() if each.configured_as == "high"]
    assert seen[-1].findtext(kwn("preempted-by")) == record.app_id
    shown_low = await shown(client, "low")
    assert told(shown_low, "preempted-by") == [record.app_id]
    assert {top.tag for top in await client.get()} >= {al("alarms")}


def associations_of(tops: Iterable[etree._Element]) -> etree._Element:
    (found,) = [top for top in tops if top.tag == kwn("key-associations")]
    return found
