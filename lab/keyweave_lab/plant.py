"""The fibre plant: every fibre of a laboratory, and hands to cut, repair and disturb them.

Rule of this file: a fibre passes frames and keeps nothing. Both modules of a link connect to the fibre's
port and say who they are; the plant joins them. What passes stands for quantum light, so it is neither read
nor logged; only the greeting is read. Cutting really closes both connections. Control is by JSON lines over a
unix socket that its owner alone can open: `plant_control`.

    python -m keyweave_lab.plant --config plant.toml
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from keyweave_agents.quantum.channel import FrameStream, Listener, listen
from keyweave_agents.quantum.frames import (
    CONDITION_KIND,
    HELLO_KIND,
    MAX_EXCESS_NOISE,
    MAX_EXTRA_LOSS_DB,
    Bye,
    Condition,
    Hello,
    Keepalive,
)
from keyweave_agents.quantum.module_settings import ModuleRole, split_address
from keyweave_agents.quantum.observed import DownCause
from keyweave_core.errors import InvalidInput, KeyweaveError, MalformedMessage, PeerUnreachable
from keyweave_core.model.ids import LinkId, parse_uuid
from keyweave_core.runtime.log import configure_logging, get_logger
from keyweave_core.runtime.settings import read_settings
from keyweave_lab.plant_control import FibreView, open_control

_GREETING_S = 5.0
_WAITING_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class FibreSettings:
    """One fibre: the link it carries, what people call it, and the "host:port" both modules connect to."""

    link_id: LinkId
    name: str
    listen: str

    def __post_init__(self) -> None:
        if parse_uuid(self.link_id) != self.link_id:
            raise ValueError(f"fibre {self.name}: link_id: ids are lower case")
        if not 0 < len(self.name) <= 200:
            raise ValueError("fibre: a name has 1 to 200 characters")
        split_address(self.listen)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantSettings:
    """The whole plant: its control socket and its fibres. ValueError for a link or name given twice."""

    control_socket: Path
    fibres: tuple[FibreSettings, ...] = ()

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for fibre in self.fibres:
            for value in (fibre.link_id, fibre.name):
                if value in seen:
                    raise ValueError(f"fibres: {value} is given twice")
                seen.add(value)


@dataclass(slots=True, eq=False)
class _End:
    """A connected module; `other` is set when the module at the far end is there too."""

    hello: Hello
    stream: FrameStream
    other: "asyncio.Future[_End]"


class Fibre:
    """One fibre and the ends that are connected to it."""

    def __init__(self, settings: FibreSettings) -> None:
        self.settings = settings
        self._log = get_logger("plant").bind(fibre=settings.name)
        self._ends: dict[ModuleRole, _End] = {}
        self._cut = False
        self._condition = Condition(extra_loss_db=0.0, excess_noise=0.0)

    def view(self) -> FibreView:
        """The fibre as the control socket shows it."""
        return FibreView(
            link_id=self.settings.link_id,
            name=self.settings.name,
            cut=self._cut,
            extra_loss_db=self._condition.extra_loss_db,
            excess_noise=self._condition.excess_noise,
            ends=tuple(sorted(self._ends)),
        )

    def cut(self) -> None:
        """Break both connections now and take none until `repair`. Twice does nothing more."""
        self._cut = True
        for end in self._ends.values():
            end.stream.abort()
        self._log.info("fibre cut")

    def repair(self) -> None:
        """Let ends connect again; what `degrade` added is gone too."""
        self._cut = False
        self.degrade(0.0, 0.0)

    def degrade(self, extra_loss_db: float, excess_noise: float) -> None:
        """Add loss (0..200 dB) and noise (0..10); InvalidInput beyond. Ends that come later hear it too."""
        if not (0 <= extra_loss_db <= MAX_EXTRA_LOSS_DB and 0 <= excess_noise <= MAX_EXCESS_NOISE):
            raise InvalidInput(
                f"fibre {self.settings.name}: extra_loss_db is 0..{MAX_EXTRA_LOSS_DB:g} and excess_noise "
                f"0..{MAX_EXCESS_NOISE:g}, not {extra_loss_db} and {excess_noise}"
            )
        self._condition = Condition(extra_loss_db=extra_loss_db, excess_noise=excess_noise)
        self._log.info("fibre condition", extra_loss_db=extra_loss_db, excess_noise=excess_noise)
        for end in self._ends.values():
            if end.other.done():
                with contextlib.suppress(PeerUnreachable):
                    end.stream.send(self._condition)

    async def run(self, listener: Listener) -> None:
        """Take ends from `listener` until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._serve(await listener.accept()))

    async def _serve(self, stream: FrameStream) -> None:
        """One end, from its greeting to its last frame."""
        end: _End | None = None
        try:
            if self._cut:
                return
            end = await self._greet(stream)
            other = await self._far_end(end)
            stream.send(other.hello)
            stream.send(self._condition)
            while True:
                header, body = await stream.receive_raw()
                if header[0] in (CONDITION_KIND, HELLO_KIND):
                    raise MalformedMessage("only the plant says that")
                other.stream.send_raw(header, body)
                await other.stream.drain()
        except KeyweaveError as error:
            self._log.debug("end left", reason=str(error))
        finally:
            if end is not None:
                self._leave(end)
            await stream.close()

    async def _greet(self, stream: FrameStream) -> _End:
        """Read who is there and take it in; PeerUnreachable or InvalidInput when it cannot stay."""
        hello = await stream.receive(silence_s=_GREETING_S)
        if not isinstance(hello, Hello):
            raise MalformedMessage("an end must greet first")
        older = self._ends.get(hello.role)
        wrong = ""
        if hello.link_id != self.settings.link_id:
            wrong = f"this fibre carries link {self.settings.link_id}"
        elif older is not None and older.hello.node_id != hello.node_id:
            wrong = f"there is a {hello.role} at this fibre already"
        if wrong:
            stream.send(Bye(cause=DownCause.MISMATCH, reason=wrong))
            raise InvalidInput(wrong)
        if self._cut:
            raise PeerUnreachable("the fibre is cut")
        if older is not None:
            older.stream.abort()
            self._leave(older)
        end = _End(hello, stream, asyncio.get_running_loop().create_future())
        self._ends[hello.role] = end
        far = self._ends.get("receiver" if hello.role == "transmitter" else "transmitter")
        if far is not None and not far.other.done():
            far.other.set_result(end)
            end.other.set_result(far)
        return end

    async def _far_end(self, end: _End) -> _End:
        """Wait for the module at the far end, and tell this one meanwhile that the plant is there."""
        while not end.other.done():
            end.stream.send(Keepalive())
            await asyncio.wait((end.other,), timeout=_WAITING_S)
        return end.other.result()

    def _leave(self, end: _End) -> None:
        """Take an end away: no light from here is no light there."""
        if self._ends.get(end.hello.role) is end:
            del self._ends[end.hello.role]
        if end.other.done():
            end.other.result().stream.finish()


async def run_plant(settings: PlantSettings) -> None:
    """Run every fibre and the control socket until cancelled.

    The control socket appears when all fibres take connections. PeerUnreachable for a port or a socket path
    that cannot be bound.
    """
    fibres = [Fibre(fibre) for fibre in settings.fibres]
    with contextlib.ExitStack() as open_sockets:
        listeners: list[Listener] = []
        for fibre in fibres:
            listener = await listen(*split_address(fibre.settings.listen))
            open_sockets.callback(listener.close)
            listeners.append(listener)
        control = await open_control(settings.control_socket, fibres)
        open_sockets.callback(control.close)
        async with asyncio.TaskGroup() as tasks:
            for fibre, listener in zip(fibres, listeners, strict=True):
                tasks.create_task(fibre.run(listener))
            await asyncio.get_running_loop().create_future()


async def _until_signalled(settings: PlantSettings) -> None:
    plant = asyncio.create_task(run_plant(settings))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, plant.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await plant


def main() -> int:
    """The program: exit status 0 after SIGTERM or SIGINT, 1 when it could not run, with the reason."""
    parser = argparse.ArgumentParser(prog="keyweave-plant", description="The fibres of a laboratory.")
    parser.add_argument("--config", type=Path, required=True, help="TOML: control_socket and [[fibres]]")
    arguments = parser.parse_args()
    configure_logging(form="json")
    try:
        asyncio.run(_until_signalled(read_settings(arguments.config, PlantSettings)))
    except KeyweaveError as error:
        sys.stderr.write(f"plant: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
