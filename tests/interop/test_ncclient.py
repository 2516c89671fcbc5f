"""ncclient, as it is on PyPI, reaches every operation of our server."""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree
from ncclient import manager
from ncclient.operations import RPCError

pytestmark = pytest.mark.interop

ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
TYPES = "urn:etsi:qkd:yang:etsi-qkd-node-types"
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
LINK = "11111111-0000-4000-8000-000000000001"
E = f"{{{ETSI}}}"


def config(inner: str) -> str:
    return (
        f'<nc:config xmlns:nc="{BASE}"><qkd_node xmlns="{ETSI}" xmlns:t="{TYPES}">'
        f"{inner}</qkd_node></nc:config>"
    )


def node(inner: str = "") -> tuple[str, str]:
    return "subtree", f'<qkd_node xmlns="{ETSI}">{inner}</qkd_node>'


def connect(place: Any) -> manager.Manager:
    return manager.connect_ssh(
        host="127.0.0.1",
        port=place.port,
        username="tester",
        key_filename=str(place.key_file),
        hostkey_verify=False,
        look_for_keys=False,
        allow_agent=False,
        timeout=20,
    )


async def play(place: Any, script: Callable[[manager.Manager], None]) -> None:
    """Run a script of blocking calls in a thread, with its own session."""

    def work() -> None:
        with connect(place) as session:
            script(session)

    before = set(threading.enumerate())
    await asyncio.to_thread(work)
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and any(
        t.is_alive() and "asyncio" not in t.name for t in set(threading.enumerate()) - before
    ):
        await asyncio.sleep(0.05)


async def test_reading(place: Any) -> None:
    def script(session: manager.Manager) -> None:
        assert ":candidate" in session.server_capabilities
        assert ":validate" in session.server_capabilities
        running = session.get_config("running").data_ele
        assert running.find(f"{E}qkd_node/{E}qkdn_status") is None
        everything = session.get(node()).data_ele[0]
        assert everything.findtext(f"{E}qkdn_status").endswith(":OPERATING")
        link = everything.find(f"{E}qkd_links/{E}qkd_link")
        assert link.findtext(f"{E}qkdl_performance/{E}skr") == "1200"
        one = session.get_config(
            "running", node("<qkd_links><qkd_link><phys_channel_att/></qkd_link></qkd_links>")
        )
        (entry,) = one.data_ele.iter(f"{E}qkd_link")
        assert [etree.QName(child).localname for child in entry] == ["qkdl_id", "phys_channel_att"]
        assert len(session.get(("subtree", '<qkd_node xmlns="urn:other"/>')).data_ele) == 0
        whole = session.get().data_ele
        names = {etree.QName(child).localname for child in whole}
        assert {"qkd_node", "netconf-state", "yang-library", "modules-state", "netconf"} <= names
        for module in ("etsi-qkd-sdn-node", "etsi-qkd-node-types", "ietf-yang-types", "notifications"):
            assert f"module {module}" in session.get_schema(module).data
        with pytest.raises(RPCError) as caught:
            session.get_schema("no-such-module")
        assert caught.value.tag == "invalid-value"

    await play(place, script)


async def test_writing(place: Any) -> None:
    def script(session: manager.Manager) -> None:
        with session.locked("candidate"):
            session.edit_config(
                config("<qkdn_version>1</qkdn_version>"), target="candidate", test_option="test-then-set"
            )
            session.validate("candidate")
            session.discard_changes()
            session.edit_config(
                config("<qkdn_version>2</qkdn_version>"), target="candidate", error_option="rollback-on-error"
            )
            session.commit()
        assert session.get_config("running", node("<qkdn_version/>")).data_ele[0][0].text == "2"
        app = (
            "<qkd_applications><qkd_app{}><app_id>"
            "22222222-0000-4000-8000-000000000001</app_id>{}</qkd_app></qkd_applications>"
        )
        create = app.format(f' xmlns:n="{BASE}" n:operation="create"', "<app_type>t:CLIENT</app_type>")
        session.edit_config(config(create), target="running")
        with pytest.raises(RPCError) as caught:
            session.edit_config(config(create), target="running")
        assert caught.value.tag == "data-exists"
        assert "qkd_app[" in caught.value.path
        session.edit_config(
            config(app.format(f' xmlns:n="{BASE}" n:operation="replace"', "<app_priority>7</app_priority>")),
            target="running",
        )
        (entry,) = session.get_config("running").data_ele.iter(f"{E}qkd_app")
        assert [etree.QName(child).localname for child in entry] == ["app_id", "app_priority"]
        for operation in ("delete", "remove"):
            session.edit_config(
                config(app.format(f' xmlns:n="{BASE}" n:operation="{operation}"', "")),
                target="running",
                default_operation="none",
            )
        with pytest.raises(RPCError) as caught:
            session.edit_config(
                config(app.format(f' xmlns:n="{BASE}" n:operation="delete"', "")), target="running"
            )
        assert caught.value.tag == "data-missing"
        session.copy_config(source="running", target="candidate")

    await play(place, script)


@pytest.mark.parametrize(
    ("inner", "tag"),
    [
        ("<no_such_leaf>1</no_such_leaf>", "unknown-element"),
        ('<x xmlns="urn:none"/>', "unknown-namespace"),
        ("<qkdn_id>no uuid</qkdn_id>", "invalid-value"),
        ("<qkdn_status>t:OPERATING</qkdn_status>", "invalid-value"),
        ("<qkd_links><qkd_link><qkdl_enable>true</qkdl_enable></qkd_link></qkd_links>", "missing-element"),
        (
            f"<qkd_links><qkd_link><qkdl_id>{LINK}</qkdl_id><qkdl_type>PHYS</qkdl_type></qkd_link></qkd_links>",
            "invalid-value",
        ),
        (
            f"<qkd_links><qkd_link><qkdl_id>{LINK}</qkdl_id><virt_bandwidth>1</virt_bandwidth></qkd_link></qkd_links>",
            None,
        ),
        (f'<qkdn_id xmlns:n="{BASE}" n:operation="delete"/>', None),
        ("<qkdn_version>1</qkdn_version><qkdn_version>2</qkdn_version>", "bad-element"),
        ("<qkdn_version>impossible</qkdn_version>", "operation-failed"),
    ],
)
async def test_what_is_refused_changes_nothing(place: Any, inner: str, tag: str | None) -> None:
    def script(session: manager.Manager) -> None:
        before = session.get_config("running").data_xml
        with pytest.raises(RPCError) as caught:
            session.edit_config(config(inner), target="running")
        assert tag in (None, caught.value.tag)
        assert caught.value.message
        assert session.get_config("running").data_xml.partition("<data")[2] == before.partition("<data")[2]

    await play(place, script)


async def test_locks_and_the_ends_of_sessions(place: Any) -> None:
    def script(session: manager.Manager) -> None:
        other = connect(place)
        other.lock("running")
        with pytest.raises(RPCError) as caught:
            session.lock("running")
        assert caught.value.tag == "lock-denied"
        assert str(other.session_id) in caught.value.info
        with pytest.raises(RPCError) as caught:
            session.edit_config(config("<qkdn_version>3</qkdn_version>"), target="running")
        assert caught.value.tag == "in-use"
        for number in (session.session_id, 4_000_000_000):
            with pytest.raises(RPCError) as caught:
                session.kill_session(str(number))
            assert caught.value.tag == "invalid-value"
        session.kill_session(other.session_id)
        session.lock("running")
        session.unlock("running")
        deadline = time.monotonic() + 5
        while other.connected and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not other.connected

    await play(place, script)


async def test_notifications(place: Any) -> None:
    down = (
        f'<sdqkdn_link_down xmlns="{ETSI}"><qkd_link><qkdl_id>{LINK}</qkdl_id></qkd_link></sdqkdn_link_down>'
    )
    place.publish(down)
    loop = asyncio.get_running_loop()

    def script(session: manager.Manager) -> None:
        # ncclient puts the filter into the base namespace.
        session.create_subscription(
            filter=("subtree", f'<sdqkdn_link_down xmlns="{ETSI}"/>'), start_time="2020-01-01T00:00:00Z"
        )
        first = session.take_notification(timeout=10)
        assert LINK in first.notification_xml
        assert "replayComplete" in session.take_notification(timeout=10).notification_xml
        loop.call_soon_threadsafe(place.publish, f'<event xmlns="{ETSI}"/>')
        loop.call_soon_threadsafe(place.publish, down)
        assert session.get_config("running").ok
        live = session.take_notification(timeout=10)
        assert "sdqkdn_link_down" in live.notification_xml
        with pytest.raises(RPCError):
            session.create_subscription()

    await play(place, script)


async def test_notifications_by_an_xpath_filter_and_of_the_server_itself(place: Any) -> None:
    def script(session: manager.Manager) -> None:
        with connect(place) as listener:
            changes = {"n": "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"}
            listener.create_subscription(filter=("xpath", (changes, "/n:netconf-config-change")))
            session.edit_config(config("<qkdn_version>9.1</qkdn_version>"), target="running")
            told = listener.take_notification(timeout=10).notification_ele
            targets = [element.text for element in told.iter(f"{{{changes['n']}}}target")]
            assert targets == ["/etsi-qkd-sdn-node:qkd_node/etsi-qkd-sdn-node:qkdn_version"]
            assert told.findtext(f".//{{{changes['n']}}}username") == "tester"

    await play(place, script)


async def test_yang_push_by_way_of_dispatch(place: Any) -> None:
    push = "urn:ietf:params:xml:ns:yang:ietf-yang-push"

    def script(session: manager.Manager) -> None:
        session.dispatch(
            etree.fromstring(
                '<establish-subscription xmlns="urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications" '
                f'xmlns:yp="{push}" xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores">'
                "<yp:datastore>ds:operational</yp:datastore><yp:on-change/></establish-subscription>"
            )
        )
        whole = session.take_notification(timeout=10).notification_ele
        assert whole.find(f"{{{push}}}push-update") is not None
        assert [element.text for element in whole.iter(f"{E}skr")] == ["1200"]
        session.edit_config(config("<qkdn_version>9.2</qkdn_version>"), target="running")
        change = session.take_notification(timeout=10).notification_ele
        assert change.findtext(f".//{{{push}}}target") == "/etsi-qkd-sdn-node:qkd_node/qkdn_version"

    await play(place, script)


async def test_operations_of_the_model_and_unknown_ones(place: Any) -> None:
    def script(session: manager.Manager) -> None:
        reply = session.dispatch(
            etree.fromstring('<refuse-application xmlns="urn:keyweave:yang:keyweave-qkd-node"/>')
        )
        assert "<ok" in reply.xml
        for name, tag in (("{urn:none}fly", "unknown-namespace"), (f"{E}fly", "operation-not-supported")):
            with pytest.raises(RPCError) as caught:
                session.dispatch(etree.Element(name))
            assert caught.value.tag == tag

    await play(place, script)
    assert place.device.calls == ["refuse-application"]
