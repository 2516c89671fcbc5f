"""The faults of a chaos run, done to real processes and undone again.

Rule of this file: a fault undoes itself at its end, and `heal` undoes all that is left. Faults overlap: what
two of them hold down stays down until both are over.
"""

import asyncio
import contextlib
import signal
from collections.abc import Callable

from tests.system.chaos_checks import session_with, tree_of
from tests.system.chaos_plan import ChaosPlan, Fault

from keyweave_core.errors import KeyweaveError, Refused
from keyweave_core.model.application import Application, AppType
from keyweave_core.model.ids import AppId, LinkId, SaeId
from keyweave_core.model.link import LinkType
from keyweave_core.runtime.clock import Clock
from keyweave_lab.apps import App, AppAddress
from keyweave_lab.deploy import start_program, stop_program
from keyweave_lab.dial import Controller, ControllerAddress
from keyweave_lab.inventory import LabInventory, read_inventory
from keyweave_lab.plant_control import PlantClient
from keyweave_lab.processes import send_signal
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_yang import edits

STRANGER = AppId("0f0e0d0c-0b0a-4908-8706-050403020100")


def app_of(lab: LabInventory, sae_id: str) -> App:
    """An application with the patience of one that lives through a crash."""
    one = lab.application(sae_id)
    return App(AppAddress(sae_id=sae_id, base_url=one.base_url, tls=one.tls), timeout_s=40.0)


class Faults:
    """All faults of one run. `say` hears what happens; times count from `began` (monotonic seconds).

    `down` counts the faults that hold a program down, `deaths` when each one died and was back, `thaws` when
    a frozen one went on, `unsure` the requests whose clients vanished, `wrong` what no fault may cause.
    """

    def __init__(self, plan: ChaosPlan, lab: LabInventory, clock: Clock, say: Callable[[str], None]) -> None:
        self.plan = plan
        self.lab = lab
        self.began = clock.monotonic()
        self.down: dict[str, int] = {}
        self.thaws: dict[str, list[float]] = {}
        self.deaths: dict[str, list[tuple[float, float]]] = {}
        self.unsure = 0
        self.wrong: list[str] = []
        self.starting = asyncio.Lock()
        self._clock = clock
        self._say = say
        self._plant = PlantClient(lab.plant_socket)
        self._frozen: dict[str, int] = {}
        self._cuts: dict[str, int] = {}
        self._opened: list[str] = []

    async def perform(self, fault: Fault) -> None:
        """Wait for the fault's moment, do it, and undo it at its end."""
        await self._clock.sleep(self.began + fault.at_s - self._clock.monotonic())
        self._say(
            f"{fault.kind} {' '.join(fault.targets)} {fault.number:g} for {fault.until_s - fault.at_s:.2f}"
        )
        try:
            await getattr(self, f"_{fault.kind}")(fault)
        except KeyweaveError as error:
            # What a fault asks for may be impossible under another fault; that is told, not wrong.
            self._say(f"{fault.kind} {' '.join(fault.targets)}: {type(error).__name__} {error}")

    async def _until(self, fault: Fault) -> None:
        await self._clock.sleep(self.began + fault.until_s - self._clock.monotonic())

    async def _cut(self, fault: Fault) -> None:
        for fibre in fault.targets:
            self._cuts[fibre] = self._cuts.get(fibre, 0) + 1
            await self._plant.cut(fibre)
        await self._until(fault)
        for fibre in fault.targets:
            self._cuts[fibre] -= 1
            if not self._cuts[fibre]:
                await self._plant.repair(fibre)

    async def _degrade(self, fault: Fault) -> None:
        loss, noise = max(0.0, fault.number), max(0.0, -fault.number)
        await self._plant.degrade(fault.targets[0], extra_loss_db=loss, excess_noise=noise)
        await self._until(fault)
        await self._plant.degrade(fault.targets[0], extra_loss_db=0.0)

    async def _kill(self, fault: Fault) -> None:
        name = fault.targets[0]
        opening = None
        if fault.number:
            opening = asyncio.create_task(self._open_one(self.plan.pairs[0], f"kill-{fault.at_s}"))
            await self._clock.sleep(0.02)
        self.down[name] = self.down.get(name, 0) + 1
        died_s = self._clock.monotonic()
        async with self.starting:
            await stop_program(self.lab.directory, name, self._clock, kill=True)
        await self._until(fault)
        self.down[name] -= 1
        if not self.down[name]:
            await self._restart(name)
        self.deaths.setdefault(name, []).append((died_s, self._clock.monotonic()))
        if opening is not None:
            await asyncio.gather(opening, return_exceptions=True)

    async def _restart(self, name: str) -> None:
        async with self.starting:
            await start_program(self.lab.directory, name, self._clock)

    async def _freeze(self, fault: Fault) -> None:
        name = fault.targets[0]
        self._frozen[name] = self._frozen.get(name, 0) + 1
        self._signal(name, signal.SIGSTOP)
        await self._until(fault)
        self._frozen[name] -= 1
        if not self._frozen[name]:
            self._signal(name, signal.SIGCONT)
            self.thaws.setdefault(name, []).append(self._clock.monotonic())

    def _signal(self, name: str, number: signal.Signals) -> None:
        for program in read_inventory(self.lab.directory).programs:
            if program.name == name and program.process is not None:
                send_signal(program.process, number)

    async def _vanish(self, fault: Fault) -> None:
        """A client that goes away in the middle of its request, here and at the other end."""
        async with app_of(self.lab, fault.targets[0]) as app:
            try:
                # The connection must stand: the HTTP library leaves one behind that is cancelled while made.
                await app.status(fault.targets[1])
            except KeyweaveError:
                return
            self.unsure += 1
            task = asyncio.create_task(app.enc_keys(fault.targets[1], number=5))
            await asyncio.wait((task,), timeout=0.02 if fault.number else 0.3)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _open(self, fault: Fault) -> None:
        """An orchestrator asks for the same thing twice at once, and later gives it back twice."""
        name = f"open-{fault.at_s}"
        answers = await asyncio.gather(
            self._open_one(fault.targets, name), self._open_one(fault.targets, name), return_exceptions=True
        )
        granted = {answer for answer in answers if isinstance(answer, str)}
        if len(granted) > 1:
            self.wrong.append(f"one request id opened two associations: {granted}")
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, KeyweaveError):
                raise answer
        await self._until(fault)
        if fault.number and granted:
            (app_id,) = granted
            await asyncio.gather(self._close(app_id), self._close(app_id))
            self._opened.remove(app_id)

    async def _open_one(self, pair: tuple[str, ...], name: str) -> str:
        def ask() -> str:
            with self._controller() as controller, controller.answers():
                answer = controller.associations.Open(
                    pb.OpenAssociationRequest(
                        request_id=name,
                        source=pair[0],
                        destination=pair[1],
                        qos=pb.Qos(min_bandwidth_bps=100),
                    ),
                    timeout=20,
                )
                return str(answer.association.app_id)

        app_id = await asyncio.to_thread(ask)
        if app_id not in self._opened:
            self._opened.append(app_id)
        return app_id

    async def _close(self, app_id: str) -> None:
        def ask() -> None:
            with self._controller() as controller, controller.answers():
                controller.associations.Close(pb.CloseAssociationRequest(app_id=app_id), timeout=20)

        await asyncio.to_thread(ask)

    def _controller(self) -> Controller:
        return Controller(ControllerAddress(address=self.lab.controller_address, tls=self.lab.operator))

    async def _lock(self, fault: Fault) -> None:
        name, store = fault.targets
        async with await session_with(self.lab, self.lab.node(name), self._clock) as session:
            await session.lock(store)
            await self._until(fault)

    async def _edit(self, fault: Fault) -> None:
        """An operator's hand in the configuration of an agent."""
        name, what = fault.targets
        node = self.lab.node(name)
        tree = await tree_of(self.lab, node, self._clock)
        links: tuple[LinkId, ...] = tuple(one.link_id for one in tree.links if one.type is LinkType.VIRT)[:1]
        applications = tuple(one.app_id for one in tree.applications if one.type is AppType.CLIENT)[:1]
        change = edits.edit_config(remove_links=links if what in ("link", "half") else ())
        if what == "application":
            change = edits.edit_config(remove_applications=applications)
        elif what == "stranger":
            change = edits.edit_config(
                put_applications=(
                    Application(
                        app_id=STRANGER,
                        type=AppType.CLIENT,
                        server_app_id=SaeId(self.lab.applications[0].sae_id),
                        client_app_ids=(SaeId(self.lab.applications[1].sae_id),),
                        local_node_id=tree.node_id,
                    ),
                )
            )
        if len(change):
            async with await session_with(self.lab, node, self._clock) as session:
                # "half": an edit of the candidate that its author forgets.
                await session.edit_config("candidate" if what == "half" else "running", change)

    async def heal(self) -> None:
        """Undo all that is left."""
        for fibre in self.plan.fibres:
            await self._plant.repair(fibre)
        for program in self.lab.programs:
            self._signal(program.name, signal.SIGCONT)
            await self._restart(program.name)
        self.down.clear()
        self._say("all healed")

    async def close_opened(self) -> None:
        """Give back what orchestrators still hold."""
        for app_id in self._opened:
            with contextlib.suppress(Refused):
                await self._close(app_id)
