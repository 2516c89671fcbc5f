"""Settings of the control layer of an agent: the tables `[node]` and `[netconf]`.

Rule of this file: bounds are checked where the value is made; files are named here and read elsewhere.
"""

from dataclasses import dataclass
from pathlib import Path

from keyweave_core.model.ids import NodeId, parse_uuid
from keyweave_core.model.node import TrustLevel


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """What the node says of itself (GS QKD 015 `qkdn_*`).

    `node_id` is a lower-case UUID; `location_id` names the secure site; `version` is free text ('' takes the
    version of this program). `state_dir` is where the configuration that controllers wrote is kept.
    `relay` false: the node may end a path and does not pass keys on.
    """

    node_id: NodeId
    location_id: str
    state_dir: Path
    version: str = ""
    trust_level: TrustLevel = TrustLevel.TRUSTED
    relay: bool = True

    def __post_init__(self) -> None:
        if parse_uuid(self.node_id) != self.node_id:
            raise ValueError(f"node_id: write {parse_uuid(self.node_id)}, ids are lower case")
        for name in ("location_id", "version"):
            if not getattr(self, name).isprintable():
                raise ValueError(f"{name} {getattr(self, name)[:60]!r}: printable characters only")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetconfUser:
    """One user of the NETCONF server; `authorized_keys` is a file in the form of OpenSSH."""

    name: str
    authorized_keys: Path

    def __post_init__(self) -> None:
        if not 1 <= len(self.name) <= 64 or not self.name.isprintable() or " " in self.name:
            raise ValueError(f"user name {self.name[:60]!r}: want 1..64 printable characters, no space")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetconfSettings:
    """Where the NETCONF server listens and whom it lets in. `listen_port` 0 takes a free port.

    `host_key` is the private SSH key of this node, unencrypted, in the form of OpenSSH or PEM.
    """

    host_key: Path
    users: tuple[NetconfUser, ...]
    listen_host: str = "127.0.0.1"
    listen_port: int = 830

    def __post_init__(self) -> None:
        if not 0 <= self.listen_port <= 65535:
            raise ValueError(f"listen_port {self.listen_port}: not a port (0 takes a free one)")
        if not self.users:
            raise ValueError("no users: nobody could configure this node")
        names = [user.name for user in self.users]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"user {name} is named twice")
