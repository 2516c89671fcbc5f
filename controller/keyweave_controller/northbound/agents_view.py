"""The agents of the inventory as YANG data: where they are, and how the controller talks with them.

Rule of this file: what is configured comes from the settings, what is known from the state, and what only the
southbound knows (the session, what it chose) through a function that the program joins.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from keyweave_controller.control.state import NetworkState
from keyweave_controller.northbound import markup
from keyweave_controller.northbound.markup import kwn
from keyweave_controller.settings import AgentSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """A session that stands with an agent. `protocol` is a member of the module's enumeration."""

    protocol: str = "netconf-ssh"
    session_id: int | None = None
    since: float | None = None  # seconds since 1970
    key_exchange: str = ""
    cipher: str = ""
    post_quantum: bool | None = None
    dialogue: tuple[str, ...] = ()  # what was chosen by the agent's capabilities


Sessions = Callable[[], Mapping[str, SessionView]]
"""The sessions that stand now, by the name of the agent."""


class AgentsView:
    """The inventory, rendered anew for each reader: it is small."""

    def __init__(self, agents: Sequence[AgentSettings], sessions: Sessions = dict) -> None:
        self._agents = {agent.name: agent for agent in agents}
        self._sessions = sessions

    def render(self, state: NetworkState) -> etree._Element:
        """The container `inventory`."""
        top = markup.qkd_tree("inventory")
        records = {record.name: record for record in state.nodes.values()}
        sessions = self._sessions()
        for name, agent in sorted(state.inventory.items()):
            record, settings, session = records.get(name), self._agents.get(name), sessions.get(name)
            element = etree.SubElement(top, kwn("agent"))
            markup.text(element, kwn("name"), name)
            if settings is not None:
                markup.text(element, kwn("host"), settings.host)
                markup.number(element, kwn("port"), settings.port)
            markup.text(element, kwn("protocol"), session.protocol if session else "netconf-ssh")
            markup.flag(element, kwn("connected"), record is not None and record.connected)
            reason = record.lost_reason if record else state.unreached.get(name, "")
            markup.text(element, kwn("lost-reason"), reason)
            rejected = record.rejected if record and record.rejected else state.rejected.get(name, ())
            markup.texts(element, kwn("rejected-reason"), rejected)
            markup.text(element, kwn("node-id"), record.node_id if record else None)
            markup.texts(element, kwn("consumer"), agent.consumers)
            if session is not None:
                _put_session(element, session)
        return top


def _put_session(parent: etree._Element, session: SessionView) -> None:
    element = etree.SubElement(parent, kwn("session"))
    markup.number(element, kwn("session-id"), session.session_id)
    markup.moment(element, kwn("since"), session.since)
    markup.text(element, kwn("key-exchange"), session.key_exchange)
    markup.text(element, kwn("cipher"), session.cipher)
    if session.post_quantum is not None:
        markup.flag(element, kwn("post-quantum"), session.post_quantum)
    markup.texts(parent, kwn("dialogue"), session.dialogue)
