"""What is known of the session with an agent, for whoever shows it.

Rule of this file: plain values. The southbound makes them, the northbound shows them, and neither knows the
other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

_HYBRIDS = ("mlkem", "sntrup", "kyber", "frodokem", "mceliece")
"""What stands in the names of key exchanges that rest on a problem that quantum computers do not solve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSession:
    """A session that stands.

    `since`: seconds since 1970. `session_id`: as the agent numbered it, None where sessions have no number.
    `host`: the address of the agent. `key_exchange`, `cipher`: as negotiated, '' when it is not known.
    """

    since: float
    session_id: int | None = None
    host: str = ""
    key_exchange: str = ""
    cipher: str = ""

    @property
    def post_quantum(self) -> bool | None:
        """The key exchange withstands a quantum computer; None when it is not known which it was."""
        if not self.key_exchange:
            return None
        return any(one in self.key_exchange.lower() for one in _HYBRIDS)


Sessions = Callable[[], Mapping[str, AgentSession]]
"""The sessions that stand now, by the name of the agent."""
