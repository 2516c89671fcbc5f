"""With-defaults and reading and editing by datastore, as a raw client sees them."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from lxml import etree

from keyweave_core.netconf.protocol.framing import frame
from keyweave_core.netconf.protocol.rpc_errors import BASE
from keyweave_core.netconf.server.features import ServerFeatures
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.runtime.clock import ManualClock

NC = f"{{{BASE}}}"
TINY = "urn:test:tiny"
NS = f"{{{TINY}}}"
NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
OR = "urn:ietf:params:xml:ns:yang:ietf-origin"
WD = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
TAG = "{urn:ietf:params:xml:ns:netconf:default:1.0}default"
ORIGIN = f"{{{OR}}}origin"

RUNNING = (
    "<node><id>n</id><version>1</version><caps><stats>s</stats></caps>"
    "<links><link><id>1</id><hop>a</hop></link><link><id>2</id></link></links></node>"
)
FACTS = (
    f"<node xmlns='{TINY}'><version>2</version><status>up</status>"
    "<links><link><id>1</id><perf><qber>3</qber></perf></link><link><id>9</id></link></links></node>"
)

Ask = Callable[..., "asyncio.Future[etree._Element]"]


class Disk:
    async def keep(self, config) -> None:
        """Forget it."""


@pytest.fixture
async def ask(xml, tiny, device, new_transport, hello) -> AsyncIterator[Ask]:
    """Send one operation, return the one child of the reply (the first of them)."""
    device.facts = FACTS
    server = NetconfServer(
        tiny,
        device,
        list(xml(RUNNING)),
        clock=ManualClock(),
        features=ServerFeatures(startup=True),
        keeper=Disk(),
    )
    transport = new_transport()
    session = server.open_session(transport)
    transport.messages()
    session.data_received(hello)
    transport.framer.use_chunks()

    async def send(operation: str) -> etree._Element:
        text = f'<rpc xmlns="{BASE}" message-id="1" xmlns:ds="{DS}" xmlns:or="{OR}">{operation}</rpc>'
        session.data_received(frame(text.encode(), chunked=True))
        for _ in range(50):
            await asyncio.sleep(0)
        (reply,) = transport.messages()
        return reply[0]

    yield send
    await server.close()


def get_data(datastore: str, *more: str) -> str:
    return f'<get-data xmlns="{NMDA}"><datastore>ds:{datastore}</datastore>{"".join(more)}</get-data>'


def fault(reply: etree._Element) -> tuple[str | None, str | None]:
    bad = reply.findtext(f"{NC}error-info/{NC}bad-element")
    return reply.findtext(f"{NC}error-tag"), bad


def found(reply: etree._Element) -> list[str]:
    """The leaves and empty elements of a reply, as short paths."""
    tree = etree.ElementTree(reply)
    names = [tree.getelementpath(each) for each in reply.iter("*") if not len(each)]
    return [name.replace(NS, "") for name in names]


async def get_config(ask: Ask, mode: str, source: str = "running") -> etree._Element:
    return await ask(
        f"<get-config><source><{source}/></source>"
        f"<with-defaults xmlns='{WD}'>{mode}</with-defaults></get-config>"
    )


async def test_defaults_are_reported_as_asked(ask: Ask) -> None:
    relay = f"{NS}node/{NS}caps/{NS}relay"
    assert (await get_config(ask, "explicit")).find(relay) is None
    element = (await get_config(ask, "report-all")).find(relay)
    assert (element.text, element.get(TAG)) == ("true", None)
    element = (await get_config(ask, "report-all-tagged")).find(relay)
    assert (element.text, element.get(TAG)) == ("true", "true")
    edit = (
        f"<edit-config><target><candidate/></target><config><node xmlns='{TINY}'>"
        "<caps><relay>true</relay></caps></node></config></edit-config>"
    )
    assert (await ask(edit)).tag == f"{NC}ok"
    assert (await get_config(ask, "explicit", "candidate")).find(relay) is not None
    element = (await get_config(ask, "report-all-tagged", "candidate")).find(relay)
    assert element.get(TAG) is None, "what was set is not there by default"
    assert (await get_config(ask, "trim", "candidate")).find(relay) is None
    reply = await ask(f"<get><with-defaults xmlns='{WD}'>report-all</with-defaults></get>")
    assert reply.findtext(relay) == "true"


async def test_a_mode_that_there_is_not_is_refused(ask: Ask) -> None:
    assert fault(await get_config(ask, "some")) == ("invalid-value", "with-defaults")
    reply = await ask("<get><with-defaults>trim</with-defaults></get>")
    assert fault(reply) == ("unknown-element", "with-defaults")


@pytest.mark.parametrize(
    ("mode", "there"), [("report-all", True), ("report-all-tagged", False), ("trim", False)]
)
async def test_a_copy_takes_defaults_along_when_it_is_asked_to(ask: Ask, mode: str, there: bool) -> None:
    reply = await ask(
        "<copy-config><target><candidate/></target><source><running/></source>"
        f"<with-defaults xmlns='{WD}'>{mode}</with-defaults></copy-config>"
    )
    assert reply.tag == f"{NC}ok"
    data = await ask("<get-config><source><candidate/></source></get-config>")
    assert (data.find(f"{NS}node/{NS}caps/{NS}relay") is not None) is there


async def test_every_datastore_is_read_by_its_name(ask: Ask) -> None:
    for name in ("running", "candidate", "startup", "intended"):
        reply = await ask(get_data(name))
        assert reply.tag == f"{{{NMDA}}}data"
        assert reply.findtext(f"{NS}node/{NS}version") == "1"
    reply = await ask(get_data("operational"))
    assert reply.findtext(f"{NS}node/{NS}version") == "2"
    assert reply.findtext(f"{NS}node/{NS}status") == "up"
    for bad in ("ds:nowhere", "running", "or:intended", ""):
        reply = await ask(f'<get-data xmlns="{NMDA}"><datastore>{bad}</datastore></get-data>')
        assert fault(reply) == ("invalid-value", "datastore")
    assert fault(await ask(f'<get-data xmlns="{NMDA}"/>')) == ("missing-element", "datastore")


async def test_filters_are_anded(ask: Ask) -> None:
    subtree = f"<subtree-filter><node xmlns='{TINY}'><links/></node></subtree-filter>"
    reply = await ask(get_data("operational", subtree, "<config-filter>false</config-filter>"))
    assert found(reply) == ["node/links/link/id", "node/links/link/perf/qber"]
    xpath = f"<xpath-filter xmlns:t='{TINY}'>/t:node/t:links/t:link[t:id='1']</xpath-filter>"
    reply = await ask(get_data("operational", xpath, "<config-filter>true</config-filter>"))
    assert found(reply) == ["node/links/link/id", "node/links/link/hop"]
    for more in (subtree + xpath, "<config-filter>maybe</config-filter>", "<max-depth>0</max-depth>"):
        assert fault(await ask(get_data("running", more)))[0] in ("bad-element", "invalid-value")


@pytest.mark.parametrize(
    ("select", "depth", "leaves"),
    [
        ("", "1", ["node"]),
        ("", "2", ["node/id", "node/version", "node/caps", "node/links"]),
        ("", "unbounded", None),
        ("<links/>", "1", ["node/links"]),
        ("<links/>", "2", ["node/links/link[1]/id", "node/links/link[2]/id"]),
        ("<links><link><id>1</id></link></links>", "1", ["node/links/link/id"]),
        ("<caps><stats/></caps>", "1", ["node/caps/stats"]),
    ],
)
async def test_depth_is_counted_from_what_the_filter_selects(
    ask: Ask, select: str, depth: str, leaves: list[str] | None
) -> None:
    subtree = f"<subtree-filter><node xmlns='{TINY}'>{select}</node></subtree-filter>" if select else ""
    reply = await ask(get_data("running", subtree, f"<max-depth>{depth}</max-depth>"))
    got = found(reply)
    assert got == (leaves or found(await ask(get_data("running"))))
    assert not any(isinstance(each, etree._ProcessingInstruction) for each in reply.iter())


async def test_origins_tell_what_was_configured_what_is_default_and_what_the_system_brought(ask: Ask) -> None:
    reply = await ask(get_data("operational", "<with-origin/>", "<with-defaults>report-all</with-defaults>"))
    node = reply.find(f"{NS}node")
    assert node.nsmap["or"] == OR
    assert node.get(ORIGIN) == "or:intended"
    assert node.find(f"{NS}id").get(ORIGIN) is None, "as the node above"
    assert node.find(f"{NS}version").get(ORIGIN) == "or:system"
    assert node.find(f"{NS}caps/{NS}relay").get(ORIGIN) == "or:default"
    assert node.find(f"{NS}caps/{NS}relay").get(TAG) is None
    links = node.findall(f"{NS}links/{NS}link")
    assert [link.get(ORIGIN) for link in links] == [None, None, "or:system"]
    assert links[2].find(f"{NS}id").get(ORIGIN) is None
    for state in (f"{NS}status", f"{NS}links/{NS}link/{NS}perf"):
        assert node.find(state).get(ORIGIN) is None
    tagged = await ask(
        get_data("operational", "<with-origin/>", "<with-defaults>report-all-tagged</with-defaults>")
    )
    assert tagged.find(f"{NS}node/{NS}caps/{NS}relay").get(ORIGIN) == "or:default"


async def test_origin_filters_leave_state_alone(ask: Ask) -> None:
    subtree = f"<subtree-filter><node xmlns='{TINY}'/></subtree-filter>"
    reply = await ask(get_data("operational", subtree, "<origin-filter>or:system</origin-filter>"))
    assert found(reply) == [
        "node/version",
        "node/links/link[1]/id",
        "node/links/link[1]/perf/qber",
        "node/links/link[2]/id",
        "node/status",
    ]
    assert not any(each.get(ORIGIN) for each in reply.iter("*"))
    reply = await ask(
        get_data("operational", subtree, "<negated-origin-filter>or:system</negated-origin-filter>")
    )
    assert "node/version" not in found(reply)
    assert "node/caps/stats" in found(reply)
    several = "<origin-filter>or:system</origin-filter><origin-filter>or:intended</origin-filter>"
    everything = found(await ask(get_data("operational", subtree)))
    assert found(await ask(get_data("operational", subtree, several))) == everything
    assert (
        found(await ask(get_data("operational", subtree, "<origin-filter>or:origin</origin-filter>")))
        == everything
    )
    for wrong in ("or:mine", "intended", "ds:running"):
        reply = await ask(get_data("operational", f"<origin-filter>{wrong}</origin-filter>"))
        assert fault(reply) == ("invalid-value", "origin-filter")
    for more in ("<with-origin/>", "<origin-filter>or:system</origin-filter>"):
        assert fault(await ask(get_data("running", more)))[0] == "invalid-value"


async def test_edit_data_edits_what_can_be_written(ask: Ask) -> None:
    def edit(datastore: str, more: str = "") -> str:
        return (
            f'<edit-data xmlns="{NMDA}"><datastore>ds:{datastore}</datastore>{more}'
            f"<config><node xmlns='{TINY}'><version>7</version></node></config></edit-data>"
        )

    for name in ("running", "candidate", "startup"):
        assert (await ask(edit(name))).tag == f"{NC}ok"
        assert (await ask(get_data(name))).findtext(f"{NS}node/{NS}version") == "7"
    for name in ("operational", "intended", "factory"):
        assert fault(await ask(edit(name))) == ("invalid-value", "datastore")
    reply = await ask(edit("running", "<default-operation>delete</default-operation>"))
    assert fault(reply) == ("invalid-value", "default-operation")
    reply = await ask(edit("running", "<default-operation>replace</default-operation>"))
    assert fault(reply)[0] == "data-missing", "replaced without its mandatory leaf"


async def test_locks_and_validate_take_datastores_by_name(ask: Ask) -> None:
    def named(name: str) -> str:
        return f'<datastore xmlns="{NMDA}">ds:{name}</datastore>'

    assert (await ask(f"<lock><target>{named('candidate')}</target></lock>")).tag == f"{NC}ok"
    assert fault(await ask("<lock><target><candidate/></target></lock>"))[0] == "lock-denied"
    assert (await ask(f"<unlock><target>{named('candidate')}</target></unlock>")).tag == f"{NC}ok"
    assert (await ask(f"<validate><source>{named('running')}</source></validate>")).tag == f"{NC}ok"
    assert fault(await ask(f"<lock><target>{named('operational')}</target></lock>"))[0] == "invalid-value"


async def test_what_is_served_is_announced(ask: Ask) -> None:
    library = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
    reply = await ask(
        f"<get><filter><yang-library xmlns='{library}'/>"
        "<netconf-state xmlns='urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring'><capabilities/>"
        "</netconf-state></filter></get>"
    )
    names = {each.text for each in reply.iterfind(f".//{{{library}}}datastore/{{{library}}}name")}
    assert names == {f"ds:{name}" for name in ("running", "candidate", "startup", "intended", "operational")}
    modules = {each.findtext(f"{{{library}}}name") for each in reply.iter(f"{{{library}}}module")}
    assert {"ietf-netconf-nmda", "ietf-origin", "ietf-netconf-with-defaults"} <= modules
    uris = [each.text for each in reply.iter() if etree.QName(each).localname == "capability"]
    for name in ("with-defaults:1.0?basic-mode=explicit&also-supported=report-all", "startup:1.0"):
        assert any(name in uri for uri in uris)
    assert sum("confirmed-commit:1.1" in uri for uri in uris) == 1
