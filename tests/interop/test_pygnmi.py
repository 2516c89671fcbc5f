"""pygnmi as the opposite end of our gNMI server, over mutual TLS."""

import asyncio
import datetime as dt
import importlib.util
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.interop.conftest import LINK, NODE, Place

from keyweave_gnmi.limits import GnmiLimits
from keyweave_gnmi.server import GnmiServer
from keyweave_gnmi.settings import GnmiSettings, GnmiUser
from keyweave_lab.pki import LabPki

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(importlib.util.find_spec("pygnmi") is None, reason="pygnmi is not installed"),
]

SCRIPT = Path(__file__).with_name("gnmi_script.py")


@dataclass
class Gnmi:
    """The server and the way to run the script against it."""

    port: int
    pki: LabPki

    async def play(self, user: str) -> tuple[int, str, str]:
        """Run the script with the certificate of `user`: status, output, errors."""
        tls = self.pki.operator(user)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(SCRIPT),
            str(self.port),
            str(tls.certificate),
            str(tls.private_key),
            str(tls.ca),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(60):
                out, err = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        return process.returncode or 0, out.decode(), err.decode()


@pytest.fixture
async def gnmi(place: Place, tmp_path: Path) -> AsyncIterator[Gnmi]:
    pki = LabPki(tmp_path / "pki", now=dt.datetime.now(dt.UTC))
    tls = pki.node("alpha", NODE)
    settings = GnmiSettings(
        certificate=tls.certificate,
        private_key=tls.private_key,
        ca=tls.ca,
        users=(GnmiUser(name="pygnmi"),),
        listen_port=0,
        limits=GnmiLimits(refresh_s=0.1),
    )
    server = GnmiServer(settings, place.server.system, groups={})
    yield Gnmi(await server.start(), pki)
    await server.close()


def values(answer: dict[str, Any]) -> dict[str, Any]:
    """Paths and values of what pygnmi makes of a Get."""
    return {
        update["path"]: update["val"]
        for notification in answer["notification"]
        for update in notification.get("update", ())
    }


async def test_pygnmi_reads_writes_and_subscribes(gnmi: Gnmi) -> None:
    status, out, err = await gnmi.play("pygnmi")
    assert status == 0, err
    seen = json.loads(out.splitlines()[-1])  # pygnmi prints its errors, too

    names = [model["name"] for model in seen["capabilities"]["supported_models"]]
    assert "etsi-qkd-sdn-node" in names
    assert seen["capabilities"]["gnmi_version"] == "0.10.0"
    assert "json_ietf" in seen["capabilities"]["supported_encodings"]

    link = f"qkd_node/qkd_links/qkd_link[qkdl_id={LINK}]"
    whole = values(seen["get"])[link]
    assert whole["etsi-qkd-sdn-node:qkdl_type"] == "etsi-qkd-node-types:PHYS"
    assert whole["etsi-qkd-sdn-node:qkdl_performance"] == {"skr": 1200}
    assert values(seen["config"]) == {f"{link}/phys_channel_att": "3.5"}
    for way in ("prefix", "module", "proto"):
        assert values(seen[way]) == {"qkd_node/qkdn_id": NODE}

    for way, path in (
        ("update", "qkd_node"),
        ("replace", "qkd_node/qkdn_location_id"),
        ("delete", f"{link}/phys_channel_att"),
    ):
        assert seen[way]["response"] == [{"path": path, "op": way.upper()}]
    after = values(seen["after"])["qkd_node"]
    assert after["etsi-qkd-sdn-node:qkdn_version"] == "9"
    assert after["etsi-qkd-sdn-node:qkdn_location_id"] == "cellar"
    assert "phys_channel_att" not in str(after)
    assert "no node 'nothing'" in seen["refused"]

    once, sync = seen["once"]
    assert {"path": f"{link}/qkdl_performance/skr", "val": 1200} in once["update"]["update"]
    assert sync == {"sync_response": True}
    # pygnmi joins the sync to what comes with it.
    told = [each for message in seen["stream"] for each in message.get("update", {}).get("update", ())]
    assert told == [
        {"path": "qkd_node/qkdn_version", "val": "9"},
        {"path": "qkd_node/qkdn_version", "val": "10"},
    ]


async def test_a_certificate_that_is_not_on_the_list_is_refused(gnmi: Gnmi) -> None:
    status, out, err = await gnmi.play("stranger")
    assert status != 0
    assert not out.startswith("{")
    assert "not on the list" in out + err
