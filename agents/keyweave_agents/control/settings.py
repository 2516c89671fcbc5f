"""Settings of the control layer of an agent: the table `[node]` (`[netconf]` is the server's own).

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
