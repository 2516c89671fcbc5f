"""netconf-client, as it is on PyPI, reaches every operation of our server."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree
from netconf_client.connect import connect_ssh
from netconf_client.error import RpcError
from netconf_client.ncclient import Manager

pytestmark = pytest.mark.interop

ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
TYPES = "urn:etsi:qkd:yang:etsi-qkd-node-types"
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
MONITORING = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"
E = f"{{{ETSI}}}"


def config(inner: str) -> str:
    return (
        f'<config xmlns="{BASE}" xmlns:nc="{BASE}"><qkd_node xmlns="{ETSI}" xmlns:t="{TYPES}">'
        f"{inner}</qkd_node></config>"
    )


def node(inner: str = "") -> str:
    return f'<filter><qkd_node xmlns="{ETSI}">{inner}</qkd_node></filter>'


async def play(place: Any, script: Callable[[Manager], None]) -> None:
    def work() -> None:
        session = connect_ssh(
            host="127.0.0.1", port=place.port, username="tester", key_filename=str(place.key_file)
        )
        with Manager(session, timeout=20) as mgr:
            script(mgr)

    await asyncio.to_thread(work)


async def test_reading(place: Any) -> None:
    def script(mgr: Manager) -> None:
        assert mgr.get_config("running").data_ele.findtext(f"{E}qkd_node/{E}qkdn_id")
        (got,) = mgr.get(node("<qkdn_status/>")).data_ele
        assert got[0].text.endswith(":OPERATING")
        assert len(mgr.get('<filter type="subtree"/>').data_ele) == 0
        schema = f'<get-schema xmlns="{MONITORING}"><identifier>etsi-qkd-sdn-node</identifier></get-schema>'
        assert "module etsi-qkd-sdn-node" in str(mgr.dispatch(schema).xml)

    await play(place, script)


async def test_writing(place: Any) -> None:
    def script(mgr: Manager) -> None:
        mgr.lock("candidate")
        mgr.edit_config(
            config("<qkdn_version>1</qkdn_version>"), target="candidate", default_operation="merge"
        )
        mgr.discard_changes()
        mgr.edit_config(
            config("<qkdn_version>2</qkdn_version>"),
            target="candidate",
            test_option="set",
            error_option="stop-on-error",
        )
        mgr.validate("candidate")
        mgr.commit()
        mgr.unlock("candidate")
        assert mgr.get_config("running", node("<qkdn_version/>")).data_ele[0][0].text == "2"
        mgr.edit_config(config("<qkdn_version>3</qkdn_version>"), target="running", test_option="test-only")
        mgr.copy_config(target="candidate", source="running")
        assert mgr.get_config("candidate", node("<qkdn_version/>")).data_ele[0][0].text == "2"
        for inner, tag in (
            ('<qkdn_version nc:operation="create">9</qkdn_version>', "data-exists"),
            ("<moon/>", "unknown-element"),
            ("<qkdn_version>impossible</qkdn_version>", "operation-failed"),
        ):
            with pytest.raises(RpcError) as caught:
                mgr.edit_config(config(inner), target="running")
            assert caught.value.tag == tag
        mgr.edit_config(
            config('<qkdn_version nc:operation="delete"/>'), target="running", default_operation="none"
        )
        mgr.edit_config(config('<qkdn_version nc:operation="remove"/>'), target="running")
        with pytest.raises(RpcError) as caught:
            mgr.delete_config("running")
        assert caught.value.tag == "operation-not-supported"
        with pytest.raises(RpcError) as caught:
            mgr.kill_session(77)
        assert caught.value.tag == "invalid-value"

    await play(place, script)


async def test_notifications_beside_rpcs(place: Any) -> None:
    loop = asyncio.get_running_loop()

    def script(mgr: Manager) -> None:
        mgr.create_subscription()
        for number in range(5):
            loop.call_soon_threadsafe(
                place.publish, f'<alarm xmlns="{ETSI}"><link><message>{number}</message></link></alarm>'
            )
            mgr.get_config("running")
            taken = mgr.take_notification(timeout=10)
            assert f"<message>{number}</message>" in etree.tostring(
                taken.notification_ele, encoding="unicode"
            )

    await play(place, script)


async def test_a_node_of_five_thousand_applications(place: Any) -> None:
    apps = "".join(
        f"<qkd_app><app_id>22222222-0000-4000-8000-{n:012d}</app_id><app_type>t:CLIENT</app_type></qkd_app>"
        for n in range(5000)
    )

    def script(mgr: Manager) -> None:
        mgr.edit_config(config(f"<qkd_applications>{apps}</qkd_applications>"), target="running")
        got = mgr.get_config("running").data_ele
        assert sum(1 for _ in got.iter(f"{E}qkd_app")) == 5000

    await play(place, script)
