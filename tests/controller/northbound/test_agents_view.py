"""The inventory as YANG data."""

from pathlib import Path

from keyweave_controller.control.events import InventoryNode, NodeLost, NodeRejected
from keyweave_controller.engine.rehearsal import Rehearsal
from keyweave_controller.engine.sessions import AgentSession
from keyweave_controller.engine.simulation import Span, simulate
from keyweave_controller.northbound.agents_view import AgentsView
from keyweave_controller.northbound.markup import kwn
from keyweave_controller.settings import AgentSettings, Protocol
from keyweave_yang.schema import load_schema


def test_every_agent_with_where_it_is_and_how_it_is_worked_with() -> None:
    show = Rehearsal(nodes=simulate([Span(a="A", b="B"), Span(a="B", b="C"), Span(a="C", b="D")]))
    show.start(connect=False)
    for node_id, node in show.nodes.items():
        if node.name == "A":
            show.connect(node_id)
    show.feed(NodeLost(at=show.now, name="B", reason="no route"))
    show.feed(NodeRejected(at=show.now, name="C", faults=("no tree",)))
    show.network.state.inventory["A"] = InventoryNode(name="A", consumers=("sae-x",))
    agents = (
        AgentSettings(name="A", host="10.0.0.1", port=830, host_key=Path("k")),
        AgentSettings(
            name="B", host="b.example", port=6513, protocol=Protocol.NETCONF_TLS, certificate_name="b"
        ),
        AgentSettings(name="C", protocol=Protocol.CALL_HOME_SSH, host_key=Path("k")),
        AgentSettings(name="D", host="d", port=9339, protocol=Protocol.GNMI, certificate_name="d"),
    )
    sessions = {
        "A": AgentSession(
            since=0.0,
            session_id=7,
            host="10.0.0.1",
            key_exchange="mlkem768x25519-sha256",
            cipher="aes256-gcm",
        ),
        "C": AgentSession(since=0.0, host="192.0.2.9", key_exchange="curve25519-sha256"),
        "D": AgentSession(since=0.0),
    }
    ways = {"A": ("edits running", "notifications")}
    tree = AgentsView(agents, lambda: ways, lambda: sessions).render(show.network.state)
    load_schema("controller").validate_data([tree])
    told = {one.findtext(kwn("name")): one for one in tree}
    assert [one.findtext(kwn("protocol")) for one in told.values()] == [
        "netconf-ssh",
        "netconf-tls",
        "netconf-call-home",
        "gnmi",
    ]
    assert [one.findtext(kwn("connected")) for one in told.values()] == ["true", "false", "false", "false"]
    assert told["A"].findtext(kwn("node-id")) == next(iter(show.network.nodes))
    assert told["A"].findtext(kwn("consumer")) == "sae-x"
    assert [one.text for one in told["A"].iterchildren(kwn("dialogue"))] == ["edits running", "notifications"]
    assert told["B"].findtext(kwn("lost-reason")) == "no route"
    assert told["C"].findtext(kwn("rejected-reason")) == "no tree"
    assert told["C"].findtext(kwn("host")) == "192.0.2.9", "where it called from"
    assert [leaf.text for leaf in told["A"].find(kwn("session"))] == [
        "7",
        "1970-01-01T00:00:00.000Z",
        "mlkem768x25519-sha256",
        "aes256-gcm",
        "true",
    ]
    assert told["B"].find(kwn("session")) is None
    assert told["C"].findtext(f"{kwn('session')}/{kwn('post-quantum')}") == "false"
    assert told["D"].find(f"{kwn('session')}/{kwn('post-quantum')}") is None, "nobody knows"
