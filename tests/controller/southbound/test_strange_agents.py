"""Agents that can do less, read the standard otherwise or speak newer modules: all are worked with."""

import dataclasses
from dataclasses import replace

import pytest
from lxml import etree

from keyweave_controller.control.actions import NodeEdit
from keyweave_controller.control.events import NodeLost, NodeRead
from keyweave_core.errors import Refused, SchemaViolation
from keyweave_core.model.application import Application, KeyMode, RelayMethod
from keyweave_core.model.ids import AppId, LinkId, NodeId
from keyweave_core.model.link import Endpoint, Link, LinkType, VirtualSpec
from keyweave_yang.schema import load_schema

NODE_A = NodeId("0a000000-0000-4000-8000-000000000001")
NODE_B = NodeId("0b000000-0000-4000-8000-000000000002")
NODE_C = NodeId("0c000000-0000-4000-8000-000000000003")
VIRT = LinkId("0e000000-0000-4000-8000-000000000005")
APP = AppId("0f000000-0000-4000-8000-000000000006")
ALL_LIBRARIES = ("yang-library",)


def virtual(remote: NodeId = NODE_B, **spec) -> Link:
    return Link(
        link_id=VIRT,
        type=LinkType.VIRT,
        local=Endpoint(node_id=NODE_A),
        remote=Endpoint(node_id=remote),
        virtual=VirtualSpec(bandwidth_bps=1000, **spec),
    )


ONE_HOP = NodeEdit(put_links=(virtual(next_hops=(NODE_B,)),))
TWO_HOPS = NodeEdit(put_links=(virtual(NODE_C, next_hops=(NODE_B,), onward=(NODE_C,)),))


def written(agent) -> str:
    return "".join(etree.tostring(element).decode() for element in agent.applied[-1])


@pytest.mark.parametrize(
    ("missing", "way"),
    [
        (("base:1.1",), "base:1.0, end-of-message framing"),
        (
            ("capability:candidate", "validate", "rollback-on-error"),
            "edits running, without rollback-on-error",
        ),
        (("capability:writable-running",), "edits the candidate under its lock, commits"),
        (("capability:notification", "interleave"), "no notifications: what happens shows at polls"),
        (
            ("urn:etsi:qkd:yang:etsi-qkd-node?",),
            "etsi-qkd-sdn-node not in the hello, looked for in yang-library",
        ),
        (
            ("urn:etsi:qkd:yang:etsi-qkd-node?", "yang-library:1.1"),
            "etsi-qkd-sdn-node not in the hello, looked for in modules-state",
        ),
        (
            ("urn:", "!netconf:base:1.0", "!writable-running"),
            "etsi-qkd-sdn-node not in the hello, looked for in the data itself",
        ),
    ],
)
async def test_servers_that_can_do_less(new_agent, run_fleet, heard, missing, way) -> None:
    agent = new_agent("x")
    agent.drop_capabilities = tuple(part for part in missing if not part.startswith("!"))
    agent.keep_capabilities = tuple(part[1:] for part in missing if part.startswith("!"))
    await agent.start()
    fleet = run_fleet(agent)
    read = await heard.wait(NodeRead)
    assert read.node.node_id == NODE_A
    assert way in fleet.ways()["x"]
    await fleet.configure(NODE_A, ONE_HOP)
    assert "virt_next_hop" in written(agent)


async def test_a_server_that_lists_its_modules_without_015_is_left_alone(new_agent, run_fleet, heard) -> None:
    agent = new_agent("x", NoEtsi(load_schema("agent")))
    agent.drop_capabilities = ("urn:etsi:qkd:yang:etsi-qkd-node?",)
    await agent.start()
    run_fleet(agent)
    assert "does not list etsi-qkd-sdn-node" in (await heard.wait(NodeLost)).reason


async def test_remaining_hops_are_written_and_read_back_as_adjacent(agent, run_fleet, heard) -> None:
    fleet = run_fleet(replace(agent.settings, virt_next_hop="remaining"))
    await heard.wait(NodeRead)
    await fleet.configure(NODE_A, TWO_HOPS)
    text = written(agent)
    assert text.count("virt_next_hop>") == 4
    assert text.index(NODE_B) < text.rindex(NODE_C)
    agent.node = replace(agent.node, links=(*agent.node.links, virtual(NODE_C, next_hops=(NODE_B, NODE_C))))
    await fleet.read(NODE_A)
    read = await heard.wait(NodeRead, lambda event: len(event.node.links) == 2)
    (held,) = (link for link in read.node.links if link.link_id == VIRT)
    assert held.virtual is not None
    assert held.virtual.next_hops == (NODE_B,)
    assert held.virtual.onward == (NODE_C,)


async def test_an_agent_that_wants_remaining_hops_is_given_no_fork(agent, run_fleet, heard) -> None:
    fleet = run_fleet(replace(agent.settings, virt_next_hop="remaining"))
    await heard.wait(NodeRead)
    fork = replace(virtual(NODE_C, next_hops=(NODE_B, NODE_C)), remote=None)
    with pytest.raises(Refused, match="cannot fork there"):
        await fleet.configure(NODE_A, NodeEdit(put_links=(fork,)))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (
            NodeEdit(
                put_links=(replace(virtual(next_hops=(NODE_B,)), relay_method=RelayMethod.AES_256_GCM),)
            ),
            "relays by aes-256-gcm",
        ),
        (
            NodeEdit(put_applications=(Application(app_id=APP, key_mode=KeyMode.HYBRID),)),
            "wants keys hybrid",
        ),
        (NodeEdit(put_applications=(Application(app_id=APP, share_threshold=2),)), "2 shares"),
    ],
)
async def test_without_our_module_nothing_beyond_015_is_written(
    new_agent, run_fleet, heard, edit, words
) -> None:
    agent = new_agent("x")
    agent.drop_capabilities = ("keyweave-qkd-node",)
    await agent.start()
    fleet = run_fleet(agent)
    await heard.wait(NodeRead)
    with pytest.raises(Refused, match=words):
        await fleet.configure(NODE_A, edit)
    assert not agent.applied


async def test_a_model_that_takes_no_hops_gets_links_of_one_hop_without(agent, run_fleet, heard) -> None:
    """The published 015 module: its `when` excludes every virt_ leaf on a server that validates."""

    def published(new) -> None:
        if any(element.findall(".//{*}virt_bandwidth") for element in new):
            raise SchemaViolation(
                "when condition is false",
                path="/etsi-qkd-sdn-node:qkd_node/virt_bandwidth",
                tag="unknown-element",
            )

    agent.judge = published
    fleet = run_fleet(agent)
    await heard.wait(NodeRead)
    await fleet.configure(NODE_A, ONE_HOP)
    assert VIRT in written(agent)
    assert "virt_" not in written(agent)
    assert any("published `when`" in way for way in fleet.ways()["a"])
    agent.node = replace(agent.node, links=(*agent.node.links, replace(ONE_HOP.put_links[0], virtual=None)))
    await fleet.read(NODE_A)
    read = await heard.wait(NodeRead, lambda event: len(event.node.links) == 2)
    assert ONE_HOP.put_links[0].virtual in [link.virtual for link in read.node.links]
    with pytest.raises(Refused, match="virt_"):
        await fleet.configure(NODE_A, TWO_HOPS)


async def test_a_newer_module_is_compared_with_ours(new_agent, run_fleet, heard) -> None:
    agent = new_agent("x", Newer(load_schema("agent")))
    await agent.start()
    fleet = run_fleet(agent)
    await heard.wait(NodeRead)
    ways = " | ".join(fleet.ways()["x"])
    assert "etsi-qkd-sdn-node@2029-01-01 (we know" in ways
    assert "it has more: /qkd_node/qkd_links/qkd_link/virt_rate" in ways
    assert "it lacks: /qkd_node/qkd_links/qkd_link/virt_bandwidth" in ways


async def test_a_newer_module_without_its_text(new_agent, run_fleet, heard) -> None:
    agent = new_agent("x")
    agent.rewrite_capability = (
        "etsi-qkd-sdn-node&revision=2026-11-21",
        "etsi-qkd-sdn-node&revision=2030-01-01",
    )
    await agent.start()
    fleet = run_fleet(agent)
    await heard.wait(NodeRead)
    assert any("2030-01-01" in way and "does not give its text" in way for way in fleet.ways()["x"])


class _Wrapped:
    """Our schema with another list of modules."""

    def __init__(self, schema) -> None:
        self._schema = schema

    def __getattr__(self, name: str):
        return getattr(self._schema, name)


class NoEtsi(_Wrapped):
    @property
    def modules(self):
        return [module for module in self._schema.modules if module.name != "etsi-qkd-sdn-node"]


class Newer(_Wrapped):
    @property
    def modules(self):
        return [
            dataclasses.replace(
                module,
                revision="2029-01-01",
                text=module.text.replace("revision 2026-11-21", "revision 2029-01-01").replace(
                    "leaf virt_bandwidth", "leaf virt_rate"
                ),
            )
            if module.name == "etsi-qkd-sdn-node"
            else module
            for module in self._schema.modules
        ]
