"""Key bytes stay in the agents' memory: no file of a whole network holds one, in any usual form."""

import base64
from pathlib import Path

import httpx
from tests.system.conftest import RING, RunNetwork

from keyweave_core.runtime.tls import client_context
from keyweave_lab.inventory import LabApplication, LabInventory


def fetch_raw(lab: LabInventory, count: int) -> list[bytes]:
    """The very bits of keys at the master, and checked equal at the slave."""
    near, far = lab.application("sae-a"), lab.application("sae-c")
    answer = ask(near, "sae-c/enc_keys", {"number": count})
    ids = [{"key_ID": entry["key_ID"]} for entry in answer]
    assert ask(far, "sae-a/dec_keys", {"key_IDs": ids}) == answer
    return [base64.b64decode(entry["key"]) for entry in answer]


def ask(application: LabApplication, path: str, body: dict[str, object]) -> list[dict[str, str]]:
    with httpx.Client(verify=client_context(application.tls), timeout=20) as client:
        response = client.post(f"{application.base_url}/api/v1/keys/{path}", json=body)
    assert response.status_code == 200, response.text
    keys: list[dict[str, str]] = response.json()["keys"]
    return keys


def forms(key: bytes) -> list[bytes]:
    return [
        key,
        key.hex().encode(),
        key.hex().upper().encode(),
        base64.b64encode(key),
        base64.urlsafe_b64encode(key),
    ]


def holders(directory: Path, keys: list[bytes]) -> list[str]:
    """Files below the directory that hold a key, or eight bytes of one."""
    needles = [form for key in keys for form in [*forms(key), key[:8], key[-8:]]]
    return [
        str(path)
        for path in directory.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]


async def test_no_file_of_the_network_holds_a_key(run_network: RunNetwork) -> None:
    async with run_network(RING) as network:
        keys = fetch_raw(network.lab, 32)
        network.alarms()
        found = holders(network.lab.directory, keys)
    assert found == []
    # Once more after everything has stopped and written what it writes at the end.
    assert holders(network.lab.directory, keys) == []


def test_the_search_itself_finds_keys(tmp_path: Path) -> None:
    key = bytes(range(100, 132))
    for number, form in enumerate(forms(key)):
        (tmp_path / str(number)).write_bytes(b"before " + form + b" after")
    assert len(holders(tmp_path, [key])) == len(forms(key))
