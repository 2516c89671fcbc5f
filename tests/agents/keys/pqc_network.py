"""Networks whose nodes have ML-DSA identities, and letters that a test can lose, repeat, delay and forge."""

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from tests.agents.keys.network import APP, MASTER, SLAVE, Network

from keyweave_agents.keys.plan import FallbackBegan, FallbackEnded, SuppliedKey
from keyweave_agents.keys.plane import KeyPlane
from keyweave_agents.keys.pqc.identity import Directory, PqcIdentity
from keyweave_agents.keys.pqc.letters import PqcLetter, Proved, decode_letter, decode_said
from keyweave_agents.keys.pqc.settings import Kem, PqcSettings
from keyweave_agents.keys.relaying.frames import Batch, Letter, Sealed, uuid_text
from keyweave_agents.keys.relaying.wire import decode
from keyweave_core.model.application import KeyMode, KeyOrigin
from keyweave_core.model.ids import LinkId, NodeId


def pqc_settings(**values: object) -> PqcSettings:
    """Settings whose files nobody reads."""
    chosen: dict[str, object] = {"private_key": Path("key"), "peers": Path("peers"), "return_after_s": 5.0}
    return PqcSettings(**{**chosen, **values})  # type: ignore[arg-type]  # tests choose


def identities(*node_ids: NodeId) -> dict[NodeId, PqcIdentity]:
    """Identities that know each other."""
    keys = {
        node_id: MLDSA44PrivateKey.from_seed_bytes(bytes([number]) * 32)
        for number, node_id in enumerate(node_ids)
    }
    trust = Directory({node_id: key.public_key() for node_id, key in keys.items()})
    return {node_id: PqcIdentity(key, b"", trust) for node_id, key in keys.items()}


class PqcNetwork(Network):
    """Nodes 1..n in a row, an association from the first to the last."""

    def __init__(
        self, length: int, mode: KeyMode, *, seed: int = 1, pqc: PqcSettings | None = None, **settings: object
    ) -> None:
        self.identities = identities(
            *(NodeId(f"00000000-0000-4000-8000-{n:012x}") for n in range(1, length + 1))
        )
        edges = [(number, number + 1) for number in range(1, length)]
        super().__init__(edges, seed=seed, pqc=pqc or pqc_settings(), **settings)
        self.relayed: dict[str, bytes] = {}  # key ids that travelled, and the secret that their batch names
        self.heard: list[Letter] = []  # every letter that ever was on a wire
        self.path = list(range(1, length + 1))
        self.last = length
        self.mode = mode

    def identity(self, number: int) -> PqcIdentity | None:
        """Who a node is in ML-DSA."""
        return self.identities[self.node(number)]

    def associate(self, path: list[int], **values: Any) -> LinkId:
        """As in `Network`, of the mode of this network."""
        return super().associate(path, **{"mode": self.mode, **values})

    def _watch(self, link_id: LinkId, sender: int, raw: bytes) -> None:
        super()._watch(link_id, sender, raw)
        frame = decode(raw)
        if isinstance(frame, Letter):
            self.heard.append(frame)
        if isinstance(frame, Sealed) and isinstance(frame.content, Batch):
            ids, name = frame.content.spelled().key_ids, frame.content.secret_id
            for place in range(0, len(ids), 16):
                self.relayed[uuid_text(ids[place : place + 16])] = name

    def make(self, number: int) -> KeyPlane:
        """A node that has just started."""
        return self._make(number)

    def begin(self, *, fill: bool = True) -> LinkId:
        """Connect, fill the pools, configure, and let both ends agree."""
        for link_id in self.links:
            self.connect(link_id)
        self.settle()
        if fill:
            self.fill()
        self.settle()
        link_id = self.associate(self.path)
        self.wait(1.0)
        return link_id

    # --- what a test asks ------------------------------------------------------------------------

    def both(self, number: int = 1, size_bits: int = 256) -> list[KeyOrigin]:
        """Keys at the master and at the slave, compared; their origins as the master was told."""
        keys = self.draw(number, size_bits)
        far = self.fetch(keys, at=self.last) if keys else ()
        assert [(key.key_id, key.origin) for key in keys] == [(key.key_id, key.origin) for key in far]
        assert [bytes(key.key.reveal()) for key in keys] == [bytes(key.key.reveal()) for key in far]
        return [key.origin for key in keys]

    def fallback(self) -> list[str]:
        """What the source's controller heard of fallbacks, in order."""
        kinds = (FallbackBegan, FallbackEnded)
        return [type(event).__name__ for event in self.events[1] if isinstance(event, kinds)]

    def drain(self) -> None:
        """The quantum layer is gone: whatever pools still hold is used up by taking keys."""
        idle = 0
        for _ in range(2000):
            idle = 0 if self.draw(1) else idle + 1
            if idle == 3:
                return
            self.settle()
        raise AssertionError("the pools never get empty")

    def letters(self) -> list[tuple[tuple[LinkId, int], int, PqcLetter]]:
        """Letters on the wires: the wire, the place on it, and what they say."""
        found = []
        for key, wire in self.wires.items():
            for place, raw in enumerate(wire):
                frame = decode(raw)
                if isinstance(frame, Letter):
                    found.append((key, place, decode_letter(frame.body)))
        return found

    def names(self) -> list[str]:
        """The kinds of letters on the wires; of what is proved, what it says."""
        names = []
        for _, _, letter in self.letters():
            said = decode_said(letter.body, APP, letter.secret_id) if isinstance(letter, Proved) else letter
            names.append(type(said).__name__)
        return names


def same(left: tuple[SuppliedKey, ...], right: tuple[SuppliedKey, ...]) -> bool:
    """Whether two applications hold the same keys."""
    return [bytes(key.key.reveal()) for key in left] == [bytes(key.key.reveal()) for key in right]


__all__ = ["APP", "MASTER", "SLAVE", "Kem", "PqcNetwork", "identities", "pqc_settings", "same"]
