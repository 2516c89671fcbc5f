"""The agents of the inventory as YANG data: where they are, and how the controller talks with them.

Rule of this file: what is configured comes from the settings, what is known from the state, and what only the
southbound knows (what it chose to do with each agent) through a function that the program joins.
"""

from collections.abc import Callable, Mapping, Sequence

from lxml import etree

from keyweave_controller.control.state import NetworkState
from keyweave_controller.engine.sessions import AgentSession, Sessions
from keyweave_controller.northbound import markup
from keyweave_controller.northbound.markup import kwn
from keyweave_controller.settings import AgentSettings, Protocol

Ways = Callable[[], Mapping[str, tuple[str, ...]]]
"""How each agent is worked with now, by its name, one sentence each; () while there is no session."""

_PROTOCOLS = {
    Protocol.NETCONF_SSH: "netconf-ssh",
    Protocol.NETCONF_TLS: "netconf-tls",
    Protocol.CALL_HOME_SSH: "netconf-call-home",
    Protocol.CALL_HOME_TLS: "netconf-call-home",
    Protocol.GNMI: "gnmi",
}


class AgentsView:
    """The inventory, rendered anew for each reader: it is small."""

    def __init__(self, agents: Sequence[AgentSettings], ways: Ways = dict, sessions: Sessions = dict) -> None:
        self._agents = {agent.name: agent for agent in agents}
        self._ways = ways
        self._sessions = sessions

    def render(self, state: NetworkState) -> etree._Element:
        """The container `inventory`."""
        top = markup.qkd_tree("inventory")
        records = {record.name: record for record in state.nodes.values()}
        ways, sessions = self._ways(), self._sessions()
        for name, agent in sorted(state.inventory.items()):
            record, settings = records.get(name), self._agents.get(name)
            element = etree.SubElement(top, kwn("agent"))
            markup.text(element, kwn("name"), name)
            if settings is not None:
                session = sessions.get(name)
                called = session.host if session is not None else None
                markup.text(element, kwn("host"), settings.host or called)
                markup.number(element, kwn("port"), settings.port or None)
                markup.text(element, kwn("protocol"), _PROTOCOLS[settings.protocol])
            markup.flag(element, kwn("connected"), record is not None and record.connected)
            reason = record.lost_reason if record else state.unreached.get(name, "")
            markup.text(element, kwn("lost-reason"), reason)
            rejected = record.rejected if record and record.rejected else state.rejected.get(name, ())
            markup.texts(element, kwn("rejected-reason"), rejected)
            markup.text(element, kwn("node-id"), record.node_id if record else None)
            markup.texts(element, kwn("consumer"), agent.consumers)
            _put_session(element, sessions.get(name))
            markup.texts(element, kwn("dialogue"), ways.get(name, ()))
        return top


def _put_session(agent: etree._Element, session: AgentSession | None) -> None:
    if session is None:
        return
    element = etree.SubElement(agent, kwn("session"))
    markup.number(element, kwn("session-id"), session.session_id)
    markup.moment(element, kwn("since"), session.since)
    markup.text(element, kwn("key-exchange"), session.key_exchange)
    markup.text(element, kwn("cipher"), session.cipher)
    if session.post_quantum is not None:
        markup.flag(element, kwn("post-quantum"), session.post_quantum)
