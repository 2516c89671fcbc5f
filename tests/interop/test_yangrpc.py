"""libyangrpc (yuma123, from Debian), a NETCONF client library in C, behind a small program compiled here."""

import asyncio
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.interop.conftest import PASSWORD
from tests.interop.terminal import run_in_terminal

pytestmark = pytest.mark.interop

LINK = "11111111-0000-4000-8000-000000000001"
SOURCE = Path(__file__).with_name("yangrpc_client.c")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, compiled."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the client of libyangrpc with")
    program = tmp_path_factory.mktemp("yangrpc") / "client"
    built = subprocess.run(
        [compiler, "-o", program, SOURCE, "-lyangrpc", "-l:libyumancx.so.2"],
        check=False,
        capture_output=True,
        text=True,
    )
    if built.returncode != 0:
        last = (built.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"libyangrpc cannot be linked (make test-deps installs libyangrpc-dev): {last}")
    return program


async def play(place: Any, client: Path, folder: Path, *commands: str) -> tuple[int, str]:
    return await asyncio.to_thread(
        run_in_terminal, [str(client), str(place.port), "tester", PASSWORD, *commands], cwd=folder
    )


async def test_it_reads_edits_and_locks(place: Any, client: Path, tmp_path: Path) -> None:
    edit = tmp_path / "edit.xml"
    edit.write_text(
        '<qkd_node xmlns="urn:etsi:qkd:yang:etsi-qkd-node"><qkdn_version>rpc</qkdn_version></qkd_node>'
    )
    status, said = await play(
        place,
        client,
        tmp_path,
        "get-config source=running",
        "lock target=running",
        f"edit-config target=running config=@{edit}",
        "unlock target=running",
        "get",
    )
    assert status == 0, said
    assert said.rstrip().endswith("closed")
    assert f"qkdl_id {LINK}" in said
    assert said.count("nc:ok") == 3
    assert "qkdn_version rpc" in said


async def test_it_is_told_what_is_wrong(place: Any, client: Path, tmp_path: Path) -> None:
    status, said = await play(place, client, tmp_path, "unlock target=running")
    assert status == 0, said
    assert "operation-failed" in said
