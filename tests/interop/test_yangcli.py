"""yangcli (yuma123, from Debian) as a client: it loads our schemas from us and works by them.

It is an interactive program over libssh2 1.10: a script is played in a terminal of its own.
"""

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.interop.conftest import PASSWORD
from tests.interop.netconfd import YUMA_MODULES
from tests.interop.terminal import run_in_terminal

REASON = "" if shutil.which("yangcli") else "yangcli not installed (make test-deps)"
pytestmark = [pytest.mark.interop, pytest.mark.skipif(bool(REASON), reason=REASON)]

ETSI = "urn:etsi:qkd:yang:etsi-qkd-node"
TYPES = "urn:etsi:qkd:yang:etsi-qkd-node-types"
LINK = "11111111-0000-4000-8000-000000000001"
E = f"{{{ETSI}}}"


async def play(place: Any, folder: Path, *commands: str, login: tuple[str, ...] = (), port: int = 0) -> str:
    """What yangcli says to a script of commands; it ends a script at the first error of the server."""
    script = folder / "script"
    script.write_text("\n".join(commands) + "\n")
    status, said = await asyncio.to_thread(
        run_in_terminal,
        [
            "yangcli",
            f"--home={folder}",
            "--server=127.0.0.1",
            f"--ncport={port or place.port}",
            "--user=tester",
            *(login or (f"--password={PASSWORD}",)),
            f"--modpath={YUMA_MODULES}",
            f"--run-script={script}",
            "--batch-mode",
            "--autoaliases=false",
            "--autouservars=false",
            "--autohistory=false",
        ],
        cwd=folder,
        limit_s=40,
    )
    assert status == 0, said
    assert "NETCONF session established" in said
    return said


def config(folder: Path, inner: str) -> Path:
    """A file with what goes into <config>."""
    path = folder / "edit.xml"
    path.write_text(f'<qkd_node xmlns="{ETSI}" xmlns:t="{TYPES}">{inner}</qkd_node>')
    return path


def version(place: Any) -> str | None:
    return str(place.server.running()[0].findtext(f"{E}qkdn_version"))


async def test_it_reads_by_the_schemas_it_took_from_us(place: Any, tmp_path: Path) -> None:
    said = await play(place, tmp_path, "get-config source=running", "get")
    assert "etsi-qkd-sdn-node@" in said  # the hello
    assert f"qkd_link {LINK} {{" in said  # it knows the key of the list
    assert "phys_channel_att 3.500" in said  # and the type of the leaf
    assert "qkdn_status etsi-qkdn-types:OPERATING" in said or "OPERATING" in said
    assert "RPC Error" not in said


async def test_it_edits_running_and_candidate(place: Any, tmp_path: Path) -> None:
    edit = config(tmp_path, "<qkdn_version>yangcli</qkdn_version>")
    said = await play(place, tmp_path, f"edit-config target=running config=@{edit}")
    assert "RPC OK Reply" in said
    assert version(place) == "yangcli"
    config(tmp_path, "<qkdn_version>yangcli 2</qkdn_version>")
    said = await play(
        place,
        tmp_path,
        "lock target=candidate",
        f"edit-config target=candidate config=@{edit}",
        "validate source=candidate",
        "commit",
        "unlock target=candidate",
        "discard-changes",
        "copy-config source=running target=candidate",
    )
    assert said.count("RPC OK Reply") == 7
    assert version(place) == "yangcli 2"


async def test_it_shows_why_something_is_refused(place: Any, tmp_path: Path) -> None:
    edit = config(tmp_path, "<qkdn_version>impossible</qkdn_version>")
    said = await play(place, tmp_path, f"edit-config target=running config=@{edit}")
    assert "error-tag operation-failed" in said
    assert "No such version can be run here." in said
    said = await play(place, tmp_path, "unlock target=running")
    assert "RPC Error Reply" in said
    said = await play(place, tmp_path, "get-schema identifier=moon format=yang")
    assert "error-tag invalid-value" in said


async def test_it_calls_operations_of_the_model_and_subscribes(place: Any, tmp_path: Path) -> None:
    said = await play(
        place,
        tmp_path,
        "create-subscription startTime=2020-01-01T00:00:00Z",
        "refuse-application server-app-id=urn:sae:a",
        "get-schema identifier=etsi-qkd-sdn-node format=yang",
    )
    assert "module etsi-qkd-sdn-node" in said
    assert "RPC Error" not in said
    assert place.device.calls == ["refuse-application"]


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
async def test_it_logs_in_by_key(place: Any, tmp_path: Path, kind: str) -> None:
    """libssh2 1.10 signs with RSA by SHA-1 only; the server takes that too."""
    if shutil.which("ssh-keygen") is None:
        pytest.skip("no ssh-keygen to make a key in the form that libssh2 1.10 reads")
    path = tmp_path / "id"
    made = ["ssh-keygen", "-q", "-t", kind, "-m", "PEM", "-N", "", "-f", str(path)]
    await asyncio.to_thread(subprocess.run, made, check=True)
    public = await asyncio.to_thread(Path(f"{path}.pub").read_text)
    port = await place.server.start_ssh("127.0.0.1", 0, [place.host], {"tester": [public]})
    login = (f"--private-key={path}", f"--public-key={path}.pub")
    assert LINK in await play(place, tmp_path, "get-config source=running", login=login, port=port)
