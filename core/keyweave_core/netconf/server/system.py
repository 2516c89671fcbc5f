"""What a server serves, to whichever protocol asks: NETCONF sessions, gNMI calls.

Rule of this file: it joins configuration and observation into the trees that readers see; it knows no
sessions, messages or filters' syntax.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lxml import etree

from keyweave_core.netconf.data.overlay import overlay
from keyweave_core.netconf.data.schema_paths import SchemaMap
from keyweave_core.netconf.limits import NetconfLimits
from keyweave_core.netconf.ports import Device, ModuleInfo, Schema
from keyweave_core.netconf.server.access import AccessControl
from keyweave_core.netconf.server.events.stream import EventStream
from keyweave_core.netconf.server.features import ServerFeatures
from keyweave_core.netconf.server.monitoring import ServerCounters
from keyweave_core.netconf.server.stores.datastores import Datastores, Store
from keyweave_core.runtime.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What operations work on. `own` are the namespaces of data that the server makes itself.

    `own_state` makes such data when somebody asks for it, by the Clark name of its top-level element.
    """

    schema: Schema
    places: SchemaMap
    modules: Sequence[ModuleInfo]
    capabilities: Sequence[str]
    library_id: str
    device: Device
    datastores: Datastores
    stream: EventStream
    access: AccessControl
    features: ServerFeatures
    counters: ServerCounters
    clock: Clock
    limits: NetconfLimits
    own: frozenset[str]
    own_state: dict[str, Callable[[], etree._Element]] = field(default_factory=dict)

    async def operational(self, wanted: Callable[[str], bool] | None = None) -> list[etree._Element]:
        """Running with what the device observes on top, as top-level elements; not the server's own state.

        `wanted` tells by Clark name which top-level nodes matter: the device is not asked for its state when
        none of its nodes does. The elements are shared: read them, never change them.
        """
        tops = [f"{{{node.namespace}}}{node.name}" for node in self.schema.tops()]
        if wanted is not None and not any(
            wanted(tag) for tag in tops if etree.QName(tag).namespace not in self.own
        ):
            elements: Sequence[etree._Element] = self.datastores.read(Store.RUNNING).elements
        else:
            state = [*await self.device.state(), *self.access.state()]
            running = self.datastores.read(Store.RUNNING).elements
            if wanted is not None:  # before laying: what lies below is copied
                state = [element for element in state if wanted(str(element.tag))]
                running = tuple(element for element in running if wanted(str(element.tag)))
            elements = overlay(running, state, self.places.top)
        return [
            element
            for element in elements
            if etree.QName(element).namespace not in self.own and (wanted is None or wanted(str(element.tag)))
        ]
