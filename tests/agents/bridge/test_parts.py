"""The parts of a bridge by themselves: settings, journal, sinks, and servers that answer anything."""

import datetime as dt
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.agents.bridge.kv_server import KvServer
from tests.lab.conform.tiny_https import Request, Response, TinyHttps

from keyweave_agents.bridge.calls import MOST_ANSWER_BYTES, Answer, Caller
from keyweave_agents.bridge.files import FileSink
from keyweave_agents.bridge.journal import Journal, Rotation, Stage
from keyweave_agents.bridge.kme import KeyGone, KeyManagerClient
from keyweave_agents.bridge.peer import PeerClient, Prepare
from keyweave_agents.bridge.settings import (
    BridgeSettings,
    DoorSettings,
    FilesSettings,
    KmeSettings,
    PeerSettings,
    RetrySettings,
    SecretSettings,
    VaultSettings,
    read_bridge_settings,
)
from keyweave_agents.bridge.sinks import Document, Held, NothingStaged, document_of, held_of, proof_of
from keyweave_agents.bridge.vault import VaultSink
from keyweave_agents.material import Secret
from keyweave_core.errors import PeerUnreachable, SettingsError, Unavailable
from keyweave_core.model.ids import NodeId
from keyweave_core.runtime.settings import parse_settings
from keyweave_core.runtime.tls import TlsSettings, client_context
from keyweave_lab.pki import LabPki

SECRET = SecretSettings(name="link", sink="file", path="a/link")
TLS = TlsSettings(certificate=Path("c"), private_key=Path("k"), ca=Path("a"))


def held(event_id: str = "e1", content: bytes = b"k" * 32, key_id: str = "id-1") -> Held:
    return Held(event_id=event_id, attempt=1, key_id=key_id, key=Secret(content))


class TestSettings:
    """Bounds, and what belongs together."""

    def good(self) -> BridgeSettings:
        return BridgeSettings(
            role="master",
            state_dir=Path("state"),
            door=DoorSettings(listen_port=0, tls=TLS),
            peer=PeerSettings(url="https://x", name="y"),
            kme=KmeSettings(url="https://x:1", peer_sae_id="bob", tls=TLS),
            files=FilesSettings(directory=Path("secrets")),
            secrets=(SECRET,),
        )

    def test_relative_paths_are_taken_from_the_file(self) -> None:
        found = self.good().anchored(Path("/etc/bridge"))
        assert found.state_dir == Path("/etc/bridge/state")
        assert found.kme.tls.ca == Path("/etc/bridge/a")
        assert found.files == FilesSettings(directory=Path("/etc/bridge/secrets"))

    @pytest.mark.parametrize(
        "change",
        [
            {"secrets": ()},
            {"secrets": (SECRET, SECRET)},
            {"secrets": (SECRET, replace(SECRET, name="other"))},
            {"files": None},
            {"secrets": (replace(SECRET, sink="vault"),)},
            {"role": "slave", "secrets": (replace(SECRET, every_s=60.0),)},
            {"remember_days": 0},
        ],
    )
    def test_what_does_not_go_together_is_refused(self, change: dict[str, object]) -> None:
        with pytest.raises(ValueError, match=r"secret|sink|every_s|remember"):
            replace(self.good(), **change)  # type: ignore[arg-type]  # tests choose

    @pytest.mark.parametrize(
        "change",
        [{"name": "a b"}, {"path": "../x"}, {"path": "/x"}, {"path": ""}, {"key_bits": 12}, {"every_s": 0.1}],
    )
    def test_a_secret_has_bounds(self, change: dict[str, object]) -> None:
        with pytest.raises(ValueError, match=r"want|within"):
            replace(SECRET, **change)  # type: ignore[arg-type]  # tests choose

    @pytest.mark.parametrize("url", ["http://x", "https://", "https://x?y", "https://u@x"])
    def test_addresses_are_https(self, url: str) -> None:
        with pytest.raises(ValueError, match="https"):
            PeerSettings(url=url, name="y")
        with pytest.raises(ValueError, match="https"):
            VaultSettings(address=url, token_file=Path("t"), ca=Path("c"))

    def test_other_bounds(self) -> None:
        with pytest.raises(ValueError, match="belong together"):
            VaultSettings(address="https://x", token_file=Path("t"), ca=Path("c"), certificate=Path("c"))
        with pytest.raises(ValueError, match="pending_suffix"):
            VaultSettings(address="https://x", token_file=Path("t"), ca=Path("c"), pending_suffix="/x")
        with pytest.raises(ValueError, match="retry"):
            RetrySettings(first_s=2, most_s=1)
        with pytest.raises(ValueError, match="peer_sae_id"):
            KmeSettings(url="https://x", peer_sae_id="", tls=TLS)

    def test_the_page_shows_settings_that_are_right(self) -> None:
        page = (Path(__file__).parents[3] / "docs" / "vault-bridge.md").read_text(encoding="utf-8")
        text = page.partition("```toml\n")[2].partition("```")[0]
        found = parse_settings(text, BridgeSettings, where="docs/vault-bridge.md")
        assert (found.role, found.secrets[0].every_s) == ("master", 3600)

    def test_an_unknown_key_is_fatal(self, tmp_path: Path) -> None:
        path = tmp_path / "bridge.toml"
        path.write_text("role = 'master'\ncolour = 'red'\n")
        with pytest.raises(SettingsError, match="colour"):
            read_bridge_settings(path)


class TestJournal:
    """Rows."""

    def test_rows_stay_in_order_and_are_forgotten_when_they_have_ended(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "state" / "j.db")
        row = Rotation(event_id="e1", secret="link", stage=Stage.ACCEPTED, changed_s=1.0)
        journal.put(row)
        journal.put(replace(row, event_id="e2"))
        journal.put(replace(row, stage=Stage.DONE, version=3))
        assert journal.get("e1") == replace(row, stage=Stage.DONE, version=3)
        assert journal.oldest_open("link") == replace(row, event_id="e2")
        assert [one.event_id for one in journal.newest(9)] == ["e2", "e1"]
        journal.forget(2.0)
        assert (journal.get("e1"), journal.get("e2")) == (None, replace(row, event_id="e2"))
        assert (tmp_path / "state" / "j.db").stat().st_mode & 0o777 == 0o600
        journal.close()
        with pytest.raises(Unavailable, match="journal"):
            journal.put(row)

    def test_one_process_has_it(self, tmp_path: Path) -> None:
        journal = Journal(tmp_path / "j.db")
        with pytest.raises(SettingsError, match="locked"):
            Journal(tmp_path / "j.db")
        journal.close()


class TestFiles:
    """The file sink."""

    async def test_a_rename_activates(self, tmp_path: Path) -> None:
        sink = FileSink(FilesSettings(directory=tmp_path / "s"))
        assert await sink.active(SECRET) is None
        with pytest.raises(NothingStaged):
            await sink.activate(SECRET, "e1", "id-1")
        await sink.stage(SECRET, held())
        assert await sink.active(SECRET) is None
        for _ in range(2):
            assert await sink.activate(SECRET, "e1", "id-1") == 1
        assert await sink.pending(SECRET) is None
        path = tmp_path / "s" / "a" / "link"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o077 == 0
        assert [one.name for one in path.parent.iterdir()] == ["link"]
        await sink.stage(SECRET, held("e2", key_id="id-2"))
        with pytest.raises(NothingStaged):
            await sink.activate(SECRET, "e3", "id-2")
        assert await sink.activate(SECRET, "e2", "id-2") == 2

    async def test_what_a_crash_left_does_not_stay(self, tmp_path: Path) -> None:
        sink = FileSink(FilesSettings(directory=tmp_path))
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "link.pending.new").write_text("half a key of a writer that was killed")
        await sink.stage(SECRET, held())
        assert [one.name for one in (tmp_path / "a").iterdir()] == ["link.pending"]

    async def test_what_others_wrote_is_replaced(self, tmp_path: Path) -> None:
        sink = FileSink(FilesSettings(directory=tmp_path))
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "link").write_text("by hand")
        (tmp_path / "a" / "link.pending").write_text('{"key": "!"}')
        assert (await sink.active(SECRET), await sink.pending(SECRET)) == (None, None)
        await sink.stage(SECRET, held())
        assert await sink.activate(SECRET, "e1", "id-1") == 1

    async def test_a_place_that_cannot_be_written_is_told(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_text("a file where a directory belongs")
        sink = FileSink(FilesSettings(directory=tmp_path))
        with pytest.raises(Unavailable, match="cannot"):
            await sink.stage(SECRET, held())


def test_documents_and_proofs_show_no_key() -> None:
    one = held(content=b"hidden-hidden-hidden-hidden-abcd")
    document = document_of(one)
    assert "hidden" not in repr(document) + repr(one) + repr(Answer(status=200, body=b"hidden"))
    assert document.key not in repr(document)
    found = held_of(document)
    assert found is not None
    assert found.key.same_as(one.key)
    assert held_of(Document(key="%")) is None
    assert held_of(Document(key="QUJD")) is None, "not written by a bridge"
    assert proof_of(one) == proof_of(found)
    assert proof_of(one) != proof_of(held()) != proof_of(held("e2"))


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsSettings:
    pki = LabPki(tmp_path_factory.mktemp("pki"), now=dt.datetime.now(dt.UTC))
    return pki.node("here", NodeId("0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01"))


Serve = Callable[..., Awaitable[Caller]]


@pytest.fixture
async def serve(tls: TlsSettings) -> AsyncIterator[Serve]:
    """A caller of a server that always gives one answer, or of a handler."""
    async with AsyncExitStack() as stack:

        async def start(answer: Response | KvServer, *, name: str = "", answer_s: float = 3.0) -> Caller:
            async def handle(request: Request) -> Response:
                return await answer.handle(request) if isinstance(answer, KvServer) else answer

            port = await stack.enter_async_context(TinyHttps(tls, handle))
            caller = Caller(f"https://localhost:{port}", client_context(tls), answer_s=answer_s, name=name)
            stack.push_async_callback(caller.close)
            return caller

        yield start


def said(value: object, status: int = 200) -> Response:
    return Response(status=status, body=json.dumps(value).encode())


ANYTHING = (
    Response(raw=b""),
    Response(raw=b"nonsense\r\n\r\n"),
    Response(body=b"x" * (MOST_ANSWER_BYTES + 1)),
    Response(hang=True),
)
UNREADABLE = (
    Response(body=b"{"),
    Response(body=b"\xff"),
    said([]),
    said({"data": 3, "keys": 3, "status": 3}),
    said({"keys": [{"key_ID": "a", "key": "secret-secret!"}]}),
    said({"keys": [{"key_ID": "a", "key": "QUJD"}, {"key_ID": "b", "key": "QUJD"}]}),
    said({}, 500),
    Response(status=302),
    Response(body=b"[" * 100_000),
)


@pytest.mark.parametrize("answer", ANYTHING)
async def test_servers_without_an_answer_are_unreachable(serve: Serve, answer: Response) -> None:
    with pytest.raises(PeerUnreachable):
        await (await serve(answer, answer_s=0.5)).ask("GET", "/x")


@pytest.mark.parametrize("answer", UNREADABLE)
async def test_answers_that_cannot_be_read_are_tried_again(
    serve: Serve, answer: Response, tmp_path: Path
) -> None:
    caller = await serve(answer)
    keys = KeyManagerClient(caller, "bob")
    peer = PeerClient(caller)
    (tmp_path / "t").write_text("s.x")
    sink = VaultSink(VaultSettings(address="https://x", token_file=tmp_path / "t", ca=tmp_path), caller)
    for work in (
        keys.take(256),
        keys.fetch("a", 256),
        peer.prepare("e", Prepare(secret="s", attempt=1, key_id="a", proof="p")),
        sink.pending(SECRET),
        sink.stage(SECRET, held()),
    ):
        with pytest.raises(Unavailable) as failure:
            await work
        assert "secret-secret" not in str(failure.value)


async def test_keys_of_another_size_or_id_are_not_taken(serve: Serve) -> None:
    keys = KeyManagerClient(await serve(said({"keys": [{"key_ID": "a", "key": "QUJDRA=="}]})), "bob")
    assert (await keys.take(32))[0] == "a"
    with pytest.raises(Unavailable, match="32 bits instead of 256"):
        await keys.take(256)
    with pytest.raises(Unavailable, match="another key"):
        await keys.fetch("b", 32)
    gone = KeyManagerClient(await serve(said({"message": "one or more keys specified"}, 400)), "bob")
    with pytest.raises(KeyGone, match="one or more"):
        await gone.fetch("a", 32)


async def test_whom_we_talk_to_is_compared(serve: Serve) -> None:
    good = await serve(said({}), name="urn:uuid:0b9e2c1d-5a53-4a04-8a8f-6d2f2b1f9a01")
    assert (await good.ask("GET", "/x")).status == 200
    with pytest.raises(PeerUnreachable, match="does not say mallory"):
        await (await serve(said({}), name="mallory")).ask("GET", "/x")


async def test_vault_over_https(serve: Serve, tmp_path: Path) -> None:
    server = KvServer(namespace="ns")
    (tmp_path / "t").write_text("s.token\n")
    settings = VaultSettings(address="https://x", token_file=tmp_path / "t", ca=tmp_path, namespace="ns")
    sink = VaultSink(settings, await serve(server))
    await sink.stage(SECRET, held())
    assert await sink.activate(SECRET, "e1", "id-1") == 1
    assert await sink.activate(SECRET, "e1", "id-1") == 1
    with pytest.raises(NothingStaged):
        await sink.activate(SECRET, "e2", "id-2")
    assert server.writes == ["a/link.pending", "a/link"]
