"""The NETCONF northbound: the whole network as one datastore, served by the stack that agents use, too.

Rule of this file: running is what `NetworkState.operator` says, in YANG. A commit asks the deciding code and
waits for its answer; whatever changes that configuration otherwise (gRPC) is brought into running at once.

    commit   -> decode, what the client changed -> Configurator -> granted, or rpc-errors with data paths
    kept     -> ConfigurationKept: a start begins with this, not with a commit that nobody confirmed
    get      -> OperationalTree
    rpc      -> QuestionCalls, AlarmCalls
    Changed  -> notifications, and running when the configuration changed
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from lxml import etree

from keyweave_controller.control.actions import Answer
from keyweave_controller.control.configuration import OperatorConfiguration
from keyweave_controller.engine.ports import Engine
from keyweave_controller.northbound import configuration_tree, naming, remedies
from keyweave_controller.northbound.agents_view import AgentsView
from keyweave_controller.northbound.alarm_calls import AlarmCalls
from keyweave_controller.northbound.alarm_desk import AlarmDesk
from keyweave_controller.northbound.answer_tree import alternatives_told
from keyweave_controller.northbound.configuring import Configurator
from keyweave_controller.northbound.following import changes_of
from keyweave_controller.northbound.notices import Notices
from keyweave_controller.northbound.operational import OperationalTree
from keyweave_controller.northbound.question_calls import QuestionCalls
from keyweave_controller.northbound.remedies import Remedies
from keyweave_core.errors import InternalFault, InvalidInput, PeerUnreachable, SettingsError
from keyweave_core.netconf.protocol.rpc_errors import RpcError, qualify_path
from keyweave_core.netconf.server.entrances import Ports, read_entrances
from keyweave_core.netconf.server.nacm.control import Nacm
from keyweave_core.netconf.server.nacm.initial import initial_nacm
from keyweave_core.netconf.server.operations.actions import ACTION
from keyweave_core.netconf.server.server import NetconfServer
from keyweave_core.netconf.server.settings import NetconfSettings
from keyweave_core.netconf.server.system import System
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import get_logger
from keyweave_core.runtime.retry import Uniform
from keyweave_yang.schema import ModelSchema, load_schema

SYSTEM = "system"
"""Who asks for what nobody commits: what a roll back of a confirmed commit opens again."""

_HARMLESS = tuple(
    ("keyweave-qkd-network", name) for name in ("compute-paths", "what-if", "explain", "get-bill")
)
"""Operations that those may call who only read."""


class ControllerDevice:
    """The controller as a `keyweave_core.netconf.ports.Device`, and as the `Keeper` of its configuration."""

    def __init__(
        self,
        engine: Engine,
        *,
        schema: ModelSchema,
        configurator: Configurator,
        agents: AgentsView,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._schema = schema
        self._configurator = configurator
        self._tree = OperationalTree(engine, agents)
        self._calls = QuestionCalls(engine, schema, clock, new_id)
        self._alarms = AlarmCalls(engine, AlarmDesk(engine, clock, new_id))

    def configuration(self) -> list[etree._Element]:
        """What running is to be, by the state."""
        state, management = self._engine.network.state, self._engine.management
        # While a change is under way its policy is in force already; running is what was granted last.
        policy = state.operator.policy or state.settings_policy
        tariff = state.operator.tariff or management.settings_tariff
        elements = configuration_tree.encode(state.operator, policy, tariff)
        if state.operator.others is None:
            elements.append(initial_nacm(harmless=_HARMLESS))
        return elements

    def says(self, one: Sequence[etree._Element], other: Sequence[etree._Element]) -> bool:
        """Both configurations say the same, whether nodes and links go by their names or by their ids."""
        state = self._engine.network.state
        ours, theirs = (
            naming.as_far_as_known(state, configuration_tree.decode(tops)) for tops in (one, other)
        )
        return ours == theirs

    async def state(self) -> Sequence[etree._Element]:
        """What is observed now; the elements are shared, they change with the network."""
        return self._tree.render()

    async def apply(self, old: Sequence[etree._Element], new: Sequence[etree._Element], user: str) -> None:
        """Have the network grant what differs, or raise RpcError naming each entry that it refuses."""
        state = self._engine.network.state
        written, wanted_now = configuration_tree.decode(old), configuration_tree.decode(new)
        after = naming.meant(state, written, wanted_now)
        before = naming.as_far_as_known(state, written)

        def wanted(current: OperatorConfiguration) -> OperatorConfiguration:
            return configuration_tree.merged(current, before, after)

        answer = await self._configurator.change(wanted, requester=user or SYSTEM, kept=False)
        if answer.reasons:
            network = self._engine.network
            instead = remedies.of_entries(
                network.state, network.mesh, after, answer.about, at=self._clock.now()
            )
            raise refusal(answer, instead)

    async def keep(self, config: Sequence[etree._Element] | None) -> None:
        """What was applied last outlives the process. It is the journal that keeps it."""
        del config  # always what is running: the controller has no startup datastore
        await self._configurator.keep()

    async def call(self, operation: etree._Element, user: str) -> Sequence[etree._Element] | None:
        """Carry out an rpc of `keyweave-qkd-network` or an action of `ietf-alarms`; KeyError for others."""
        if operation.tag == ACTION:
            return await self._alarms.call(self._schema.validate_action(operation), user)
        return await self._calls.call(operation, user)


class NetconfNorthbound:
    """The endpoint of one controller: made (and its files read) early, `start` once, then `follow`."""

    def __init__(
        self,
        *,
        settings: NetconfSettings,
        agents: AgentsView,
        clock: Clock,
        new_id: Callable[[], str],
        uniform: Uniform,
    ) -> None:
        """Read what the settings name. Raises SettingsError."""
        if settings.startup:
            raise SettingsError("netconf.startup: the controller keeps running itself, it has no startup")
        self._settings = settings
        self._entrances = read_entrances(settings)
        self._agents = agents
        self._clock = clock
        self._new_id = new_id
        self._uniform = uniform
        self._log = get_logger("netconf")
        self._engine: Engine | None = None
        self._device: ControllerDevice | None = None
        self._server: NetconfServer | None = None

    async def probe(self) -> None:
        """Raises SettingsError when a port is not to be had; nobody is answered yet.

        So a second controller started by mistake fails before it takes the store from the one that runs.
        """
        doors = []
        if self._settings.listen:
            doors.append((self._settings.listen_host, self._settings.listen_port))
        if self._settings.tls is not None and self._settings.tls.listen:
            doors.append((self._settings.tls.listen_host, self._settings.tls.listen_port))
        for host, port in doors:
            try:
                listener = await asyncio.start_server(lambda _, writer: writer.close(), host, port)
            except OSError as error:
                reason = error.strerror or error
                raise SettingsError(f"netconf: cannot listen on {host}:{port}: {reason}") from error
            listener.close()
            await listener.wait_closed()

    async def start(self, engine: Engine, configurator: Configurator) -> Ports:
        """Serve from now on. Raises SettingsError when an address is not to be had."""
        schema = load_schema("controller")
        self._engine = engine
        self._device = ControllerDevice(
            engine,
            schema=schema,
            configurator=configurator,
            agents=self._agents,
            clock=self._clock,
            new_id=self._new_id,
        )
        self._server = NetconfServer(
            schema,
            self._device,
            self._device.configuration(),
            clock=self._clock,
            limits=self._settings.limits,
            log=self._log,
            access=Nacm(schema),
            keeper=self._device,
        )
        try:
            return await self._entrances.open(self._server, self._uniform)
        except PeerUnreachable as error:
            raise SettingsError(f"netconf: {error}") from error

    @property
    def system(self) -> System:
        """What is served, for other protocols; after `start`."""
        if self._server is None:
            raise InternalFault("the NETCONF server was not started")
        return self._server.system

    async def follow(self) -> None:
        """Tell subscribers what changes, and keep running as the configuration is, until cancelled."""
        engine, device, server = self._engine, self._device, self._server
        if engine is None or device is None or server is None:
            return
        async with aclosing(changes_of(engine)) as changes:
            await anext(changes)
            notices = Notices(engine)
            await self._bring(device, server)  # what changed before we watched
            async for change in changes:
                try:
                    if change.configuration:
                        await self._bring(device, server)
                    for notification in notices.news(change, server.running()):
                        server.publish(notification)
                except Exception:  # noqa: BLE001 - what cannot be told must not stop the network
                    self._log.exception("a change could not be told")

    async def stop(self) -> None:
        """Let nobody in and end all sessions; a commit that nobody confirmed is taken back."""
        if self._server is not None:
            await self._server.close()

    async def _bring(self, device: ControllerDevice, server: NetconfServer) -> None:
        """Make running what is configured, unless it says the same already.

        What is configured is asked for when no commit is at work: one that is would be run over by its own
        result, or by what was before the next.
        """

        def made(running: Sequence[etree._Element]) -> Sequence[etree._Element] | None:
            wanted = device.configuration()
            return None if device.says(running, wanted) else wanted

        try:
            await server.change_running(made)
        except InvalidInput as error:
            self._log.error("running does not take what is configured", reason=str(error))


def refusal(answer: Answer, instead: Remedies) -> RpcError:
    """The errors of a commit that was not granted, one for each reason, with the path of its entry.

    The first error of an entry tells in error-info what would have been granted.
    """
    errors: list[RpcError] = []
    told: set[str] = set()
    for place, reason in enumerate(answer.reasons):
        about = answer.about[place] if place < len(answer.about) else ""
        path, namespaces = qualify_path(configuration_tree.entry_path(about), configuration_tree.NAMESPACES)
        errors.append(
            RpcError(
                # The deciding code names bandwidth in bit/s exactly when it is that what lacks.
                "resource-denied" if "bit/s" in reason else "operation-failed",
                reason.removeprefix(f"{about}: "),
                path=path,
                namespaces=namespaces,
                structures=() if about in told else alternatives_told(instead.get(about, ())),
                others=tuple(errors) if place == len(answer.reasons) - 1 else (),
            )
        )
        told.add(about)
    return errors[-1]


if TYPE_CHECKING:
    from keyweave_core.netconf.ports import Device, Keeper

    def _is_device(device: ControllerDevice) -> tuple[Device, Keeper]:
        return device, device
