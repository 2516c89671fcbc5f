"""Two bridges as processes over TLS: killed -9 while they rotate, asked by strangers, over our own keys."""

import asyncio
import base64
import datetime as dt
import random
from pathlib import Path
from typing import Any

import pytest
from tests.agents.bridge.processes import Stage
from tests.lab.conform.etsi014.our_pair import A, pair_of

from keyweave_agents.bridge.__main__ import main
from keyweave_lab.pki import LabPki


def same(stage: Stage, event_id: str) -> dict[str, Any]:
    """The key of `link`, active at both sites."""
    west, east = (stage.vaults[name].active("keys/link") for name in ("west", "east"))
    assert west is not None
    assert east is not None
    assert (west["key"], west["event_id"]) == (east["key"], event_id)
    return west


async def test_rotations_over_tls(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        await asyncio.gather(*(site.start() for site in stage.sites.values()))
        done = await stage.rotated("e1")
        assert (done["stage"], done["version"], done["reason"]) == ("done", 1, "")
        first = same(stage, "e1")
        assert await stage.rotated("e1") == done
        await stage.rotated("f1", "disk")
        west, east = stage.disk("west"), stage.disk("east")
        assert west is not None
        assert west == east
        assert len(base64.b64decode(west["key"])) == 16
        second = await stage.rotated("e2")
        assert second["version"] == 2
        assert same(stage, "e2")["key"] != first["key"]

        _, listed = await stage.ask("west", "GET", "/rotations")
        assert [one["event_id"] for one in listed["rotations"]] == ["e2", "f1", "e1"]
        assert (await stage.ask("east", "GET", "/rotations/e1"))[1]["stage"] == "active"
        assert (await stage.ask("west", "GET", "/health"))[1] == {"role": "master", "open": 0, "waiting": []}
        for key in (first["key"], west["key"], same(stage, "e2")["key"]):
            assert key not in stage.logs()
            assert base64.b64decode(key) not in stage.kept()
            assert key.encode() not in stage.kept()
        assert [await site.stop() for site in stage.sites.values()] == [0, 0]


async def test_who_may_ask_what(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        await asyncio.gather(*(site.start() for site in stage.sites.values()))
        stranger = stage.pki.application("mallory")  # type: ignore[arg-type]  # an id is text
        peer = stage.pki.node("bridge-east", "0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a12")  # type: ignore[arg-type]
        wish = {"secret": "link"}
        prepare = {"secret": "link", "attempt": 1, "key_id": "x", "proof": "y"}
        for name, method, path, body, tls, wanted in (
            ("west", "POST", "/rotations/e", wish, stranger, 401),
            ("west", "POST", "/rotations/e", wish, peer, 401),
            ("west", "GET", "/rotations", None, peer, 401),
            ("west", "GET", "/health", None, peer, 200),
            ("east", "PUT", "/peer/rotations/e", prepare, None, 401),
            ("east", "PUT", "/peer/rotations/e", prepare, peer, 401),
            ("west", "PUT", "/peer/rotations/e", prepare, peer, 409),
            ("east", "POST", "/rotations/e", wish, None, 409),
            ("west", "POST", "/rotations/e", {"secret": "nothing"}, None, 409),
            ("west", "POST", "/rotations/e", {"secrets": "link"}, None, 400),
            ("west", "POST", "/rotations/e", [], None, 400),
            ("west", "POST", "/rotations/e%20f", wish, None, 400),
            ("west", "POST", "/rotations/" + "e" * 200, wish, None, 400),
            ("west", "POST", "/rotations/e?x=1", wish, None, 400),
            ("west", "POST", "/rotations/e", {"secret": "x" * 20_000}, None, 413),
            ("west", "DELETE", "/rotations/e", None, None, 405),
            ("west", "GET", "/rotations/e", None, None, 404),
            ("west", "GET", "/other", None, None, 404),
        ):
            status, _ = await stage.ask(name, method, path, body, tls=tls)
            assert status == wanted, (name, method, path, body)
        assert stage.vaults["west"].paths == {}


@pytest.mark.parametrize("victim", ["west", "east", "both"])
async def test_killed_at_any_moment(tmp_path: Path, victim: str) -> None:
    source = random.Random(victim)  # noqa: S311 - a test repeats itself
    async with Stage(tmp_path) as stage:
        await asyncio.gather(*(site.start() for site in stage.sites.values()))
        names = ["west", "east"] if victim == "both" else [victim]
        for turn in range(3):
            for event in ("e", "f"):
                await stage.ask("west", "POST", f"/rotations/{event}{turn}", {"secret": _secret(event)})
            await asyncio.sleep(source.random() * 0.08)
            for name in names:
                await stage.sites[name].kill()
            await asyncio.gather(*(stage.sites[name].start() for name in names))
            for event in ("e", "f"):
                done = await stage.rotated(f"{event}{turn}", _secret(event))
                assert done["version"] == turn + 1, "each event made one version"
            same(stage, f"e{turn}")
            assert stage.disk("west") == stage.disk("east")
        for name in ("west", "east"):
            assert stage.vaults[name].writes.count("keys/link") == 3
            assert "keys/link.pending" not in stage.vaults[name].paths


def _secret(event: str) -> str:
    return "link" if event == "e" else "disk"


async def test_over_our_own_key_managers(tmp_path: Path) -> None:
    pki = LabPki(tmp_path / "pki", now=dt.datetime.now(dt.UTC))
    async with (
        pair_of(pki.node("kme", A)) as pair,
        Stage(tmp_path, pki=pki, urls={"west": pair.west, "east": pair.east}) as stage,
    ):
        await asyncio.gather(*(site.start() for site in stage.sites.values()))
        keys = set()
        for turn in range(4):
            await stage.ask("west", "POST", f"/rotations/e{turn}", {"secret": "link"})
            if turn % 2:
                await stage.sites["east" if turn == 1 else "west"].kill()
                await stage.sites["east" if turn == 1 else "west"].start()
            await stage.rotated(f"e{turn}")
            keys.add(same(stage, f"e{turn}")["key"])
            await stage.rotated(f"f{turn}", "disk")
            assert stage.disk("west") == stage.disk("east")
        assert len(keys) == 4


async def test_trouble_is_told_and_ends_by_itself(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        await asyncio.gather(*(site.start() for site in stage.sites.values()))
        stage.vaults["east"].sealed = True
        await stage.ask("west", "POST", "/rotations/e1", {"secret": "link"})
        async with asyncio.timeout(10):
            while not (health := (await stage.ask("west", "GET", "/health"))[1])["waiting"]:
                await asyncio.sleep(0.05)
        assert health["waiting"][0]["event_id"] == "e1"
        assert "sealed" in health["waiting"][0]["reason"]
        assert stage.vaults["west"].active("keys/link") is None
        stage.vaults["east"].sealed = False
        await stage.rotated("e1")
        same(stage, "e1")


async def test_a_secret_by_the_clock(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.every_s = 1.0
    async with stage:
        await asyncio.gather(*(site.start() for site in stage.sites.values()))
        async with asyncio.timeout(15):
            while (found := stage.disk("west")) is None or found["version"] < 2:
                await asyncio.sleep(0.05)
        assert found["event_id"].startswith("disk@1s.")


async def test_two_processes_never_share_a_journal(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        await stage.sites["west"].start()
        second = tmp_path / "west" / "second.toml"
        text = (tmp_path / "west" / "bridge.toml").read_text()
        second.write_text(text.replace(f"listen_port = {stage.sites['west'].port}", "listen_port = 0"))
        assert await asyncio.to_thread(main, ["--config", str(second)]) == 2


def test_the_command_checks_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text("role = 'master'\n")
    assert main(["--config", str(path), "--check-config"]) == 2
    assert "bridge.toml" in capsys.readouterr().err
    assert main(["--config", str(tmp_path / "nowhere.toml")]) == 2
