"""The audit record: what it says, how large it gets, and what happens when it cannot be written."""

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keyweave_agents.service.audit import NAME, AuditFailed, AuditLog, Delivery
from keyweave_agents.service.settings import AuditSettings
from keyweave_core.errors import SettingsError
from keyweave_core.runtime.clock import ManualClock

TO_BOB = "/api/v1/keys/bob/enc_keys"
FROM_ALICE = "/api/v1/keys/alice/dec_keys"
UNKNOWN = "00000000-0000-4000-8000-000000000000"
LINE = Delivery("014", "enc_keys", "alice", "alice", ("bob",), 1, 256, 200)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines() if line]


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def full(directory: Path) -> Path:
    """A directory where the record lies on a full disk."""
    directory.mkdir(exist_ok=True)
    file = directory / NAME
    file.unlink(missing_ok=True)
    file.symlink_to("/dev/full")
    return file


async def test_a_line_says_who_got_how_much_and_when(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path, AuditSettings(), ManualClock(1_700_000_000.25))
    audit.note(LINE)
    audit.note(Delivery("014", "dec_keys", 'b"ob', "alice", ('b"ob',), 2, 0, 200, "mixed"))
    assert lines(tmp_path / NAME) == [], "not before the turn ends"
    audit.flush()
    first, second = lines(tmp_path / NAME)
    assert first == {
        "time": "2023-11-14T22:13:20.250Z",
        "api": "014",
        "method": "enc_keys",
        "caller": "alice",
        "master": "alice",
        "slaves": ["bob"],
        "keys": 1,
        "size_bits": 256,
        "status": 200,
    }
    assert (second["caller"], second["origin"], second["size_bits"]) == ('b"ob', "mixed", 0)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    audit.close()
    audit.close()


async def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    for _ in range(2):
        audit = AuditLog(tmp_path, AuditSettings(), ManualClock())
        audit.note(LINE)
        audit.close()
    assert len(lines(tmp_path / NAME)) == 2


async def test_files_are_rotated_and_bounded(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path, AuditSettings(file_bytes=4096, files=3), ManualClock())
    for number in range(100):
        audit.note(Delivery("014", "enc_keys", f"caller-{number}", "alice", ("bob",), 1, 256, 200))
        audit.flush()
    audit.close()
    files = [tmp_path / NAME, tmp_path / "delivery.1.jsonl", tmp_path / "delivery.2.jsonl"]
    assert names(tmp_path) == {file.name for file in files}
    assert all(file.stat().st_size <= 4096 for file in files)
    callers = [line["caller"] for file in reversed(files) for line in lines(file)]
    assert callers == [f"caller-{number}" for number in range(100 - len(callers), 100)], "none lost between"


@pytest.mark.parametrize("sync_s", [0.0, 0.05])
async def test_it_is_forced_to_the_disk(tmp_path: Path, sync_s: float, monkeypatch: Any) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fdatasync", synced.append)
    audit = AuditLog(tmp_path, AuditSettings(sync_s=sync_s), ManualClock())
    audit.note(LINE)
    audit.flush()
    assert len(synced) == (1 if sync_s == 0 else 0)
    await asyncio.sleep(0.2)
    assert len(synced) == 1
    audit.close()


async def test_a_full_disk_is_told_and_writing_goes_on_when_it_is_not(tmp_path: Path) -> None:
    file = full(tmp_path)
    audit = AuditLog(tmp_path, AuditSettings(), ManualClock())
    audit.check()
    audit.note(LINE)
    with pytest.raises(AuditFailed, match="cannot be written: No space left on device"):
        audit.flush()
    assert audit.broken
    with pytest.raises(AuditFailed):
        audit.check()
    file.unlink()
    audit.check()
    assert not audit.broken
    audit.note(LINE)
    audit.flush()
    assert len(lines(file)) == 1, "the line that failed was never told of as written"
    audit.close()


async def test_what_is_left_of_the_last_block_is_not_room_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk takes some more bytes, though no line: keys drawn on their account would be lost."""
    audit = AuditLog(tmp_path, AuditSettings(), ManualClock(0.0))
    file = tmp_path / NAME
    write, room = os.write, 40

    def onto_a_full_disk(descriptor: int, content: bytes) -> int:
        return write(descriptor, content[: max(0, room - file.stat().st_size)])

    monkeypatch.setattr(os, "write", onto_a_full_disk)
    audit.note(LINE)
    with pytest.raises(AuditFailed):
        audit.flush()
    for _ in range(3):
        with pytest.raises(AuditFailed):
            audit.check()
        assert audit.broken
    room = 1 << 20
    audit.check()
    assert (audit.broken, file.stat().st_size) == (False, 0), "trying leaves nothing"
    audit.note(LINE)
    audit.flush()
    assert len(lines(file)) == 1
    audit.close()


def test_a_place_that_cannot_be_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot write the audit record"):
        AuditLog(tmp_path / "file" / "below", AuditSettings(), ManualClock())
    for wrong in ({"file_bytes": 1}, {"files": 0}, {"sync_s": -1.0}):
        with pytest.raises(ValueError, match="audit"):
            replace(AuditSettings(), **wrong)


@pytest.mark.parametrize("quick", [False, True])
async def test_every_request_for_keys_is_recorded_before_its_answer(
    service_with: Any, tmp_path: Path, quick: bool
) -> None:
    service = await service_with(
        quick=quick, audit=AuditSettings(directory=tmp_path), max_additional_slaves=1
    )
    _, made = await service.ask("alice", "POST", TO_BOB, {"number": 2, "size": 512})
    ids = [key["key_ID"] for key in made["keys"]]
    assert [line["keys"] for line in lines(tmp_path / NAME)] == [2]
    body = {"key_IDs": [{"key_ID": key_id} for key_id in ids]}
    await service.ask("carol", "POST", FROM_ALICE, body)
    await service.ask("bob", "POST", FROM_ALICE, body)
    await service.ask("bob", "GET", f"{FROM_ALICE}?key_ID={UNKNOWN}")
    await service.ask("alice", "POST", TO_BOB, {"additional_slave_SAE_IDs": ["carol"]})
    await service.ask("alice", "GET", "/api/v1/keys/bob/status")
    await service.ask("mallory", "POST", TO_BOB, {})
    found = [
        (each["method"], each["caller"], each["slaves"], each["keys"], each["size_bits"], each["status"])
        for each in lines(tmp_path / NAME)
    ]
    assert found == [
        ("enc_keys", "alice", ["bob"], 2, 512, 200),
        ("dec_keys", "carol", ["carol"], 0, 0, 401),
        ("dec_keys", "bob", ["bob"], 2, 512, 200),
        ("dec_keys", "bob", ["bob"], 0, 0, 400),
        ("enc_keys", "alice", ["bob", "carol"], 1, 256, 200),
    ]
    text = (tmp_path / NAME).read_text()
    for key in made["keys"]:
        assert key["key"] not in text
        assert key["key_ID"] not in text


@pytest.mark.parametrize("quick", [False, True])
async def test_without_a_record_nothing_is_handed_over(
    service_with: Any, tmp_path: Path, quick: bool
) -> None:
    file = full(tmp_path)
    service = await service_with(quick=quick, audit=AuditSettings(directory=tmp_path))
    status, answer = await service.ask("alice", "POST", TO_BOB, {"number": 2})
    assert (status, answer["message"]) == (503, "the key manager cannot do this now")
    assert "No space left on device" in answer["details"][0]["reason"]
    taken = len(service.model.stored)
    assert taken == 2, "these are lost"
    for body in ({}, {"number": 3}):
        assert (await service.ask("alice", "POST", TO_BOB, body))[0] == 503
    assert len(service.model.stored) == taken, "no further key is drawn while records cannot be written"
    assert not any(any(bundle.keys.reveal()) for bundle in service.model.drawn)
    assert (await service.ask("alice", "GET", "/api/v1/keys/bob/status"))[0] == 200
    file.unlink()
    assert (await service.ask("alice", "POST", TO_BOB, {}))[0] == 200
    assert [line["status"] for line in lines(file)] == [200]


async def test_a_client_that_left_is_recorded_as_such(service_with: Any, tmp_path: Path) -> None:
    service = await service_with(quick=True, audit=AuditSettings(directory=tmp_path))
    service.model.slow_ledger = True
    _, writer = await asyncio.open_connection("localhost", service.port, ssl=service.context_of("alice"))
    writer.write(f"GET {TO_BOB} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    async with asyncio.timeout(5):
        while not service.model.undecided:
            await asyncio.sleep(0.01)
    writer.transport.abort()
    await asyncio.sleep(0.1)
    service.model.undecided.pop()(None)
    assert [(line["status"], line["keys"]) for line in lines(tmp_path / NAME)] == [(499, 1)]
