"""The node behind its NETCONF server: commits become calls, local events become notifications.

Rule of this file: everything is checked before anything is done, and a commit is made real without a pause
in between (no await), so no other task ever sees half of it and no cancelled session leaves half of it. What
the server says is to outlive the process is on disk before the answer is given; a confirmed commit is not,
so an agent that dies before it is confirmed comes up with the configuration from before.

    <get>       running, with what is observed now on top (`tree`)
    commit      decode -> `apply.decide` -> key manager, modules
    keep        disk
    rpc         refuse-application -> the requests that wait end; release-link -> a module trusts its fibre
    start       what was kept last, as far as it still fits the settings
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from lxml import etree

from keyweave_agents.control.apply import Decision, decide
from keyweave_agents.control.rebasing import rebase
from keyweave_agents.control.reports import application_new
from keyweave_agents.control.saved import Saved, SavedConfiguration
from keyweave_agents.control.tree import Observation, active_virtual_links, observed
from keyweave_agents.keys.plan import KeyState
from keyweave_agents.keys.ports import KeyControl
from keyweave_agents.quantum.observed import ModuleState
from keyweave_core.errors import InvalidInput, Refused, SchemaViolation
from keyweave_core.model.ids import AppId, LinkId
from keyweave_core.model.node import Node
from keyweave_core.netconf.protocol.messages import parse_xml
from keyweave_core.runtime.clock import Clock, date_and_time
from keyweave_core.runtime.log import get_logger
from keyweave_yang.decode import Entries, decode_configuration, decode_refusal
from keyweave_yang.encode import encode_configuration, encode_state
from keyweave_yang.namespaces import QKD_NODE, etsi
from keyweave_yang.refusals import REFUSE_APPLICATION
from keyweave_yang.releases import RELEASE_LINK, decode_release
from keyweave_yang.schema import ModelSchema
from keyweave_yang.waiting import encode_waiting
from keyweave_yang.writing import text


class Module(Protocol):
    """What is asked of a QKD module (`quantum.module.QuantumModule`)."""

    def state(self) -> ModuleState: ...

    def enable(self, wanted: bool) -> None: ...

    def tune(self, wavelength: int) -> None: ...

    def release(self) -> None: ...


class NodeEndpoint:
    """One node as a `keyweave_core.netconf.ports.Device`, and as the `Keeper` of its configuration.

    `own` is the initial configuration made of the settings; `beginning` holds what else running begins with
    (access control), each where nothing of its name was kept. `start` must be called once, before the
    server that is given this device.
    """

    def __init__(
        self,
        own: Node,
        *,
        keys: KeyControl,
        modules: Mapping[LinkId, Module],
        saved: SavedConfiguration,
        schema: ModelSchema,
        clock: Clock,
        beginning: Sequence[etree._Element] = (),
    ) -> None:
        # Through the codec once, so that facts compare equal to what comes back from the wire.
        self._own = decode_configuration(encode_configuration(own))
        self._keys = keys
        self._modules = modules
        self._saved = saved
        self._schema = schema
        self._clock = clock
        self._beginning = tuple(beginning)
        self._log = get_logger("control")
        self._entries = Entries()
        self._applied: Sequence[etree._Element] = ()
        self._running = self._own
        self._decision = decide(self._own, self._own)
        self._created: dict[AppId, str] = {}
        self._ever_active: frozenset[LinkId] = frozenset()

    def start(self) -> Sequence[etree._Element]:
        """Make the configuration of the last run real again and return it for the server's running.

        What no longer fits the settings is left out and logged; a file that cannot be read, too.
        """
        running, others = self._remembered()
        decision = decide(running, self._own)
        try:
            self._act(decision)
        except InvalidInput as error:  # such as a key mode that the settings of today do not offer
            self._log.error("saved configuration not used", reason=str(error))
            running, decision = self._own, self._decision
            self._act(decision)
        self._running, self._decision = running, decision
        now = date_and_time(self._clock.now())
        self._created = {entry.app_id: self._created.get(entry.app_id, now) for entry in running.applications}
        known = {other.tag for other in others}
        others += [element for element in self._beginning if element.tag not in known]
        return [encode_configuration(running), *others]

    @property
    def running(self) -> Node:
        """The intended configuration."""
        return self._running

    @property
    def direct(self) -> Mapping[LinkId, LinkId]:
        """Ids of derived routes and the physical links behind them (`apply.Decision`)."""
        return self._decision.direct

    def node(self) -> Node:
        """The whole tree as it is now: what is intended, with every observed value in place."""
        return self._observed(self._keys.snapshot())

    def _observed(self, keys: KeyState) -> Node:
        present = {link.link_id for link in self._running.links}
        active = active_virtual_links(self._running, keys)
        self._ever_active = (self._ever_active & present) | active
        shown = observed(
            self._running,
            Observation(
                keys=keys,
                modules={link_id: module.state() for link_id, module in self._modules.items()},
                ever_active=self._ever_active,
                created=self._created,
                direct=self._decision.direct,
            ),
        )
        # The version written is a wish; this program is what it is.
        return replace(shown, version=self._own.version)

    async def state(self) -> Sequence[etree._Element]:
        """What is observed now, as top-level elements."""
        keys = self._keys.snapshot()
        node = self._observed(keys)
        tree = encode_state(node)
        if node.version != self._running.version and node.version is not None:
            text(tree, etsi("qkdn_version"), node.version)
        encode_waiting(tree, (application_new(event, node) for event in keys.waiting))
        return [tree]

    async def apply(self, _old: Sequence[etree._Element], new: Sequence[etree._Element], user: str) -> None:
        """Make `new` real or raise SchemaViolation or Refused and leave everything as it is."""
        wanted = decode_configuration(new, self._entries)
        decision = decide(wanted, self._own)
        now = date_and_time(self._clock.now())
        created = {entry.app_id: self._created.get(entry.app_id, now) for entry in wanted.applications}
        try:
            self._act(decision)
        except InvalidInput as error:
            self._act(self._decision)
            raise Refused(str(error)) from error
        self._running, self._decision, self._created = wanted, decision, created
        self._applied = new
        self._log.info(
            "configured",
            user=user or "system",
            routes=len(decision.plan.routes),
            associations=len(decision.plan.associations),
            generating=len(decision.generating),
        )

    async def keep(self, config: Sequence[etree._Element] | None) -> None:
        """Write what the next start begins with; None: what the settings say. Raises Unavailable."""
        if config is None:
            await asyncio.to_thread(self._saved.forget)
            return
        created: Mapping[AppId, str] = self._created
        if config is not self._applied:
            now = date_and_time(self._clock.now())
            entries = decode_configuration(config, self._entries).applications
            created = {entry.app_id: self._created.get(entry.app_id, now) for entry in entries}
        # In a thread: keys must not wait for the disk.
        saved = Saved(
            configuration=_to_text(config),
            created=created,
            version=self._own.version,
            location_id=self._own.location_id,
        )
        await asyncio.to_thread(self._saved.save, saved)

    async def call(self, operation: etree._Element, user: str) -> None:
        """Carry out `refuse-application` or `release-link`; KeyError for every other operation."""
        if operation.tag not in (REFUSE_APPLICATION, RELEASE_LINK):
            raise KeyError(operation.tag)
        self._schema.validate_rpc_input(operation)
        if operation.tag == RELEASE_LINK:
            self._release(decode_release(operation), user)
            return
        refusal = decode_refusal(operation)
        self._keys.refuse(refusal.server_app_id, refusal.client_app_ids, refusal.reasons)
        self._log.info(
            "application refused", server=refusal.server_app_id, user=user, reasons=refusal.reasons
        )

    def _release(self, link_id: LinkId, user: str) -> None:
        module = self._modules.get(link_id)
        if module is None:
            path = "/keyweave-qkd-node:release-link/link-id"
            raise SchemaViolation(f"this node has no module on link {link_id}", path=path)
        module.release()
        self._log.info("link released", link_id=link_id, user=user)

    def _act(self, decision: Decision) -> None:
        self._keys.configure(decision.plan)
        for link_id, module in self._modules.items():
            module.enable(link_id in decision.generating)
            if link_id in decision.channels:
                module.tune(decision.channels[link_id])

    def _remembered(self) -> tuple[Node, list[etree._Element]]:
        """What was kept: the node, and configuration that is none of the node's business."""
        try:
            saved = self._saved.load()
            if saved is None:
                return self._own, []
            elements = _from_text(saved.configuration)
            self._schema.validate(elements)
            before = decode_configuration(elements)
            running, dropped = rebase(before, self._own)
            if before.version != saved.version:
                running = replace(running, version=before.version)
            if before.location_id != saved.location_id:
                running = replace(running, location_id=before.location_id)
        except InvalidInput as error:
            self._log.error("saved configuration not used", reason=str(error))
            return self._own, []
        for reason in dropped:
            self._log.warning("saved entry no longer fits", reason=reason)
        self._created = dict(saved.created)
        return running, [element for element in elements if element.tag != QKD_NODE]


def _to_text(elements: Sequence[etree._Element]) -> str:
    return "".join(etree.tostring(element, encoding="unicode", with_tail=False) for element in elements)


def _from_text(text: str) -> list[etree._Element]:
    return list(parse_xml(f"<configuration>{text}</configuration>".encode()))
