"""Confirmed commits, defaults and datastores by name, asked for by the clients of others."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from ncclient import manager
from ncclient.operations import RPCError
from netconf_client.connect import connect_ssh
from netconf_client.ncclient import Manager

pytestmark = pytest.mark.interop

ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
E = f"{{{ETSI}}}"


def config(version: str) -> str:
    inner = f'<qkd_node xmlns="{ETSI}"><qkdn_version>{version}</qkdn_version></qkd_node>'
    return f'<nc:config xmlns:nc="{BASE}">{inner}</nc:config>'


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


def version(session: manager.Manager, **more: Any) -> str | None:
    return session.get_config("running", **more).data_ele.findtext(f"{E}qkd_node/{E}qkdn_version")


def until(holds: Callable[[], bool]) -> None:
    limit = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.05)


async def test_ncclient_confirms_cancels_and_leaves(place: Any) -> None:
    def script() -> None:
        with connect(place) as watching:
            assert ":confirmed-commit:1.1" in watching.server_capabilities
            with connect(place) as session:
                session.edit_config(config("1"), target="candidate")
                session.commit(confirmed=True, timeout="60")
                session.commit()
                assert version(watching) == "1"

                session.edit_config(config("2"), target="candidate")
                session.commit(confirmed=True, timeout="60", persist="token")
            assert version(watching) == "2"
            with pytest.raises(RPCError) as caught:
                watching.commit(persist_id="guess")
            assert caught.value.tag == "invalid-value"
            with pytest.raises(RPCError):
                watching.lock("running")
            watching.cancel_commit(persist_id="token")
            assert version(watching) == "1"

            with connect(place) as session:
                session.edit_config(config("3"), target="candidate")
                session.commit(confirmed=True, timeout="60")
                assert version(watching) == "3"
            until(lambda: version(watching) == "1")
            with watching.locked("running"):
                pass

    await asyncio.to_thread(script)


async def test_ncclient_asks_for_defaults(place: Any) -> None:
    def script() -> None:
        with connect(place) as session:
            enable = f"{E}qkd_node/{E}qkd_links/{E}qkd_link/{E}qkdl_enable"
            assert session.get_config("running").data_ele.find(enable) is None
            got = session.get_config("running", with_defaults="report-all").data_ele
            assert got.findtext(enable) == "true"
            tagged = session.get(with_defaults="report-all-tagged").data_ele.find(enable)
            assert dict(tagged.attrib) == {"{urn:ietf:params:xml:ns:netconf:default:1.0}default": "true"}

    await asyncio.to_thread(script)


async def test_netconf_client_reads_datastores_by_name(place: Any) -> None:
    def script() -> None:
        session = connect_ssh(
            host="127.0.0.1", port=place.port, username="tester", key_filename=str(place.key_file)
        )
        with Manager(session, timeout=20) as mgr:
            got = mgr.get_data("ds:running").data_ele
            assert got.findtext(f"{E}qkd_node/{E}qkdn_id")
            assert got.find(f"{E}qkd_node/{E}qkdn_status") is None
            got = mgr.get_data("ds:operational", with_origin=True, max_depth=2).data_ele
            node = got.find(f"{E}qkd_node")
            assert node.get("{urn:ietf:params:xml:ns:yang:ietf-origin}origin") == "or:intended"
            assert node.findtext(f"{E}qkdn_status").endswith(":OPERATING")
            assert len(node.find(f"{E}qkd_links")) == 0

    await asyncio.to_thread(script)
