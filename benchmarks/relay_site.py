"""One key manager of a chain, as a process of its own: what `relay_three_hops` starts.

Its only argument is a file with a `Site` in JSON. Key comes from a stream that both ends of a fibre compute
alike, as fast as the pools take it. The ends serve ETSI GS QKD 014 besides, and hand keys to an application
in the process, in bundles: what the first site draws it names to the last one, which fetches and compares.
"""

import asyncio
import hashlib
import json
import os
import ssl
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import process_time

import uvloop
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from keyweave_agents.keys.manager import KeyManager
from keyweave_agents.keys.plan import AssociationPlan, KeyPlan, Route
from keyweave_agents.keys.settings import KeyLimits, KeySettings, Neighbour, StorageSettings
from keyweave_agents.keys.storage.vault_opening import open_ledger
from keyweave_agents.material import Secret
from keyweave_agents.quantum.intake import KeyBlock
from keyweave_agents.service.etsi014 import Etsi014Server
from keyweave_agents.service.settings import AuditSettings, ConsumerSettings, ServiceSettings
from keyweave_core.model.application import RelayMethod
from keyweave_core.model.ids import AppId, LinkId, NodeId, SaeId
from keyweave_core.runtime.clock import SystemClock
from keyweave_core.runtime.tls import TlsSettings, client_context, server_context

MASTER, SLAVE = SaeId("sae-master"), SaeId("sae-slave")
BLOCK_BYTES = 65_536
TAGS_EVERY = 64  # so many blocks for keys, then one for the acknowledgements that come back
LEFT_READY = 512  # keys that stay for those who ask over ETSI GS QKD 014
TAKEN_AT_ONCE = 512  # so that they are not kept waiting


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a process is told: `ports` of all sites; `tls` are certificate, private key and authority."""

    index: int
    nodes: list[str]
    fibres: list[str]
    ports: list[int]
    tls: list[str]
    service_port: int
    hand_over_port: int  # where the last site hears what the first one drew
    keys_per_batch: int
    batches_in_flight: int
    buffer_keys: int
    method: str
    disk: str = ""  # folder of the key store; none: in memory alone
    extra: dict[str, int] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """The number of the last site."""
        return len(self.nodes) - 1

    @property
    def end(self) -> bool:
        """Whether applications are here."""
        return self.index in (0, self.last)

    def write(self, path: Path) -> None:
        """Put it where a process finds it."""
        path.write_text(json.dumps(asdict(self)))


class Running:
    """The key manager of a site and what feeds and empties it."""

    def __init__(self, site: Site) -> None:
        self.site = site
        certificate, key, ca = (Path(each) for each in site.tls)
        self.tls = TlsSettings(certificate=certificate, private_key=key, ca=ca)
        neighbours = tuple(
            Neighbour(
                node_id=site.nodes[other],
                link_id=site.fibres[fibre],
                host="127.0.0.1",
                port=site.ports[other],
            )
            for fibre, other in ((site.index - 1, site.index - 1), (site.index, site.index + 1))
            if 0 <= other < len(site.nodes)
        )
        node_id, clock = NodeId(site.nodes[site.index]), SystemClock()
        settings = KeySettings(
            listen_port=site.ports[site.index],
            neighbours=neighbours,
            pool_capacity_bits=128_000_000,
            buffer_keys=site.buffer_keys,
            limits=KeyLimits(
                keys_per_batch=site.keys_per_batch,
                batches_in_flight=site.batches_in_flight,
                stored_keys=1_000_000,
                keys_per_request=4096,
            ),
        )
        storage = None
        if site.disk:
            folder = Path(site.disk) / str(site.index)
            folder.mkdir(mode=0o700)
            (folder / "master.key").write_bytes(os.urandom(32))
            (folder / "master.key").chmod(0o600)
            storage = StorageSettings(key_file=folder / "master.key", directory=folder)
        self.manager = KeyManager(
            settings,
            node_id=node_id,
            clock=clock,
            random_bytes=os.urandom,
            tls_server=server_context(self.tls),
            tls_client=client_context(self.tls, check_hostname=False),
            ledger=open_ledger(storage, node_id, clock),
        )
        self._blocks = dict.fromkeys(range(len(site.fibres)), 0)
        self.done = 0  # keys that arrived at the last site and are the same as at the first

    def configure(self) -> None:
        """The virtual link, and the association at its ends."""
        site, link_id = self.site, LinkId("00000000-0000-4000-8000-000000000500")
        nodes = [NodeId(each) for each in site.nodes]
        route = Route(
            link_id=link_id,
            prev_hop=nodes[site.index - 1] if site.index else None,
            next_hop=nodes[site.index + 1] if site.index < site.last else None,
            method=RelayMethod(site.method),
        )
        ends: tuple[AssociationPlan, ...] = ()
        if site.end:
            plan = AssociationPlan(
                app_id=AppId("00000000-0000-4000-8000-000000000a00"),
                server=MASTER,
                clients=(SLAVE,),
                source=site.index == 0,
                links=(link_id,),
                remote_node=nodes[site.last - site.index],
            )
            ends = (plan,)
        self.manager.configure(KeyPlan(routes=(route,), associations=ends))

    async def feed(self, fibre: int) -> None:
        """Key of one fibre, as much as there is room for."""
        link_id = LinkId(self.site.fibres[fibre])
        ends = [NodeId(node) for node in self.site.nodes[fibre : fibre + 2]]
        secret = hashlib.sha256(link_id.encode()).digest()
        while True:
            for _ in range(8):
                if self.manager.next_owner(link_id) is None:
                    break
                self._blocks[fibre] += 1
                number = self._blocks[fibre]
                stream = Cipher(algorithms.AES(secret), modes.CTR(number.to_bytes(16, "big"))).encryptor()
                owner = ends[0] if number % TAGS_EVERY else ends[1]
                bits = Secret(stream.update(bytes(BLOCK_BYTES)))
                self.manager.deposit(link_id, KeyBlock(block_id=number, owner=owner, material=bits))
            await asyncio.sleep(0.005)

    async def serve(self) -> None:
        """ETSI GS QKD 014 for the application at this end."""
        sae = MASTER if self.site.index == 0 else SLAVE
        settings = ServiceSettings(
            listen_port=self.site.service_port,
            tls=self.tls,
            access_log=False,
            max_keys_per_request=1024,
            audit=AuditSettings(enabled=False),
        )
        server = Etsi014Server(
            settings,
            [ConsumerSettings(sae_id=sae)],
            self.manager,
            SystemClock(),
            node_id=NodeId(self.site.nodes[self.site.index]),
            draw=self.manager,
        )
        await server.start()

    async def take(self) -> None:
        """Draw at the first site whatever is ready and name it to the last one, with a digest."""
        _, writer = await _dial(self.site.hand_over_port)
        while True:
            status = self.manager.status(MASTER, SLAVE)
            number = min(TAKEN_AT_ONCE, (status.stored_key_count if status else 0) - LEFT_READY)
            drawn = self.manager.draw(MASTER, SLAVE, number, 256) if number > 0 else None
            for bundle in drawn or ():
                digest = hashlib.sha256(bundle.keys.reveal()).digest()
                writer.write(len(bundle.key_ids).to_bytes(4, "big") + digest + bundle.key_ids)
                bundle.keys.wipe()
            await writer.drain()
            await asyncio.sleep(0 if drawn else 0.002)

    async def given(self, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        """Fetch at the last site what the first one drew; it must be the same."""
        while head := await reader.read(1):
            head += await reader.readexactly(35)
            ids = await reader.readexactly(int.from_bytes(head[:4], "big"))
            fetched = self.manager.fetch(SLAVE, MASTER, ids)
            assert fetched is not None, "keys that were drawn are at their destination"
            seen = hashlib.sha256()
            for bundle in fetched:
                seen.update(bundle.keys.reveal())
                bundle.keys.wipe()
            assert seen.digest() == head[4:], "both ends have the same keys"
            self.done += len(ids) // 16
            await asyncio.sleep(0)  # what has come already is read without a pause

    async def report(self) -> None:
        """Keys and processor time so far, a line for every line that comes in."""
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            state = self.manager.snapshot()
            stored = {link_id: pool.stored_bits // 8 for link_id, pool in state.pools.items()}
            print(json.dumps({"keys": self.done, "cpu_s": process_time(), "pools": stored}), flush=True)
        raise SystemExit(0)


async def _dial(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)


async def run(site: Site) -> None:
    """Until the standard input ends."""
    running = Running(site)
    running.configure()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(running.manager.run())
        for fibre in (site.index - 1, site.index):
            if 0 <= fibre < site.last:
                tasks.create_task(running.feed(fibre))
        if site.end:
            await running.serve()
        if site.index == 0:
            tasks.create_task(running.take())
        elif site.index == site.last:
            await asyncio.start_server(running.given, "127.0.0.1", site.hand_over_port)
        tasks.create_task(running.report())


if __name__ == "__main__":
    assert ssl.HAS_TLSv1_3
    uvloop.run(run(Site(**json.loads(Path(sys.argv[1]).read_text()))))
