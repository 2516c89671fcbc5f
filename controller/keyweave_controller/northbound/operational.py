"""The operational state of the whole network as YANG data, kept and not made anew for each reader.

Rule of this file: every record has its element, made again only when the engine says that the record looks
different. So a read costs what changed since the last one. The trees are shared: readers copy what they
change (as the server does when it lays them over the configuration).
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from lxml import etree

from keyweave_controller.control import facts, tenants
from keyweave_controller.control.actions import Changed
from keyweave_controller.control.configuration import Policy
from keyweave_controller.control.shortfalls import lacks
from keyweave_controller.control.state import NetworkState
from keyweave_controller.control.strategies import STRATEGIES
from keyweave_controller.engine.ports import Engine
from keyweave_controller.management.alarms import Alarm
from keyweave_controller.northbound import alarm_tree, association_tree, markup, network_tree
from keyweave_controller.northbound.agents_view import AgentsView
from keyweave_controller.northbound.markup import kwn
from keyweave_core.model.ids import AppId, LinkId, NodeId


class _Entries:
    """Elements of one kind below one parent, by a key of ours; each key may have several elements."""

    def __init__(self, parent: etree._Element) -> None:
        self.parent = parent
        self.held: dict[str, list[etree._Element]] = {}

    def put(self, key: str, elements: Iterable[etree._Element]) -> None:
        """Replace what the key has; nothing given removes it."""
        new, old = list(elements), self.held.pop(key, [])
        if new:
            self.held[key] = new
        for before, after in zip(old, new, strict=False):
            self.parent.replace(before, after)
        for element in old[len(new) :]:
            self.parent.remove(element)
        self.parent.extend(new[len(old) :])

    def keep_only(self, keys: Iterable[str]) -> None:
        """Remove all other keys."""
        for key in self.held.keys() - set(keys):
            self.put(key, ())


class OperationalTree:
    """What the controller observes; `render` gives it as of this moment."""

    def __init__(self, engine: Engine, agents: AgentsView) -> None:
        self._engine = engine
        self._agents = agents
        self._collected = engine.collect()
        self._whole = True
        self._policy: Policy | None = None
        self._networks, network = network_tree.networks()
        self._nodes, self._links = _Entries(network), _Entries(network)
        self._associations = _Entries(markup.qkd_tree("key-associations"))
        self._tenants = _Entries(markup.qkd_tree("tenants"))
        self._usage = _Entries(markup.qkd_tree("accounting"))
        self._known = markup.qkd_tree("policy")
        markup.texts(self._known, kwn("known-strategy"), sorted(STRATEGIES))
        self._names: dict[NodeId, str] = {}
        self._shown: dict[AppId, str] = {}
        self._lacking: dict[LinkId, object] = {}
        self._alarms: dict[str, tuple[Alarm, etree._Element]] = {}

    def render(self) -> Sequence[etree._Element]:
        """Top-level elements; shared, never to be changed."""
        changed = self._collected.take()
        if self._whole:
            self._whole = False
            changed = self._everything()
        if changed is not None:
            self._refresh(changed)
        state = self._engine.network.state
        self._nodes.put("", network_tree.unread(state))
        return [
            self._networks,
            self._known,
            *(tree.parent for tree in (self._associations, self._tenants, self._usage) if tree.held),
            self._agents.render(state),
            self._alarm_tree(),
        ]

    def _everything(self) -> Changed:
        state = self._engine.network.state
        return Changed(
            node_ids=frozenset(state.nodes),
            link_ids=frozenset(state.links),
            app_ids=frozenset(state.associations)
            | frozenset(record.app_id for record in self._engine.management.usage()),
            configuration=True,
        )

    def _refresh(self, changed: Changed) -> None:
        state = self._engine.network.state
        renamed = self._refresh_nodes(state, changed)
        self._refresh_links(state, changed, renamed)
        app_ids = changed.app_ids | self._hurt(state, changed.link_ids)
        if app_ids or changed.configuration or renamed:
            self._refresh_associations(state, set(app_ids), renamed)
            for name, use in (uses := tenants.uses(state)).items():
                self._tenants.put(name, [association_tree.tenant_state(name, use)])
            self._tenants.keep_only(uses)
        if changed.app_ids:
            for record in self._engine.management.usage():
                if record.app_id in changed.app_ids:
                    key = f"{record.app_id} {record.link_id} {record.origin}"
                    self._usage.put(key, [association_tree.usage(record)])

    def _refresh_nodes(self, state: NetworkState, changed: Changed) -> set[NodeId]:
        """Returns the nodes whose name changed: others show it."""
        renamed: set[NodeId] = set()
        for node_id in changed.node_ids:
            record = state.nodes.get(node_id)
            told = facts.of_node(state, node_id)
            self._nodes.put(node_id, [network_tree.node(record, *told)] if record else [])
            name = record.name if record else None
            if self._names.get(node_id) != name:
                renamed.add(node_id)
                self._names.pop(node_id, None)
                if name is not None:
                    self._names[node_id] = name
        return renamed

    def _refresh_links(self, state: NetworkState, changed: Changed, renamed: set[NodeId]) -> None:
        if state.policy != self._policy:
            self._policy = state.policy
            link_ids = frozenset(state.links)
        else:
            link_ids = changed.link_ids
            if renamed:
                link_ids |= {one.link_id for one in state.links.values() if renamed & {one.a, one.b}}
        for link_id in link_ids:
            link = state.links.get(link_id)
            if link is None:
                self._links.put(link_id, ())
            else:
                known = facts.of_link(state, link)
                self._links.put(link_id, network_tree.links(link, self._names, state.policy, known))

    def _hurt(self, state: NetworkState, link_ids: Iterable[LinkId]) -> set[AppId]:
        """The associations over links that began or ceased to lack something: what they lack is shown."""
        owners, found = self._engine.network.mesh.owners, set[AppId]()
        for link_id in link_ids:
            link = state.links.get(link_id)
            now = link and (link.down_since is not None, link.overbooked_since is not None)
            if self._lacking.get(link_id) == now:
                continue
            self._lacking[link_id] = now
            if link is not None:
                found |= {owners[holder] for holder in link.reserved_bps if holder in owners}
        return found

    def _refresh_associations(self, state: NetworkState, app_ids: set[AppId], renamed: set[NodeId]) -> None:
        shown = association_tree.shown_names(state)
        app_ids |= {app_id for app_id in shown | self._shown if shown.get(app_id) != self._shown.get(app_id)}
        if renamed:
            app_ids |= shown.keys()
        self._shown = shown
        for app_id in app_ids:
            record = state.associations.get(app_id)
            if record is None:
                self._associations.put(app_id, ())
            else:
                short = lacks(state, record)
                element = association_tree.association(record, shown[app_id], self._names, short)
                self._associations.put(app_id, [element])

    def _alarm_tree(self) -> etree._Element:
        values = alarm_tree.newest(self._engine.management.alarms(cleared=True))
        by_id = {value.alarm_id: value for value in values}
        entries = []
        kept: dict[str, tuple[Alarm, etree._Element]] = {}
        for value in values:
            known = self._alarms.get(value.alarm_id)
            if known is None or known[0] != value:
                known = (replace(value), alarm_tree.alarm(value, by_id))
            kept[value.alarm_id] = known
            entries.append(known[1])
        self._alarms = kept
        return alarm_tree.alarms(entries, values)
