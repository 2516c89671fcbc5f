"""A laboratory: laid out, started, looked at, stopped.

Rule of this file: whoever starts something stops it when the rest cannot follow. An interrupted or failed
`deploy` leaves no process behind, and its files stay for whoever wants to know why. `destroy` can be called
at any time, by anybody, any number of times.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from keyweave_core.errors import DeadlineExceeded, InvalidInput, SettingsError, Unavailable
from keyweave_core.runtime.clock import Clock
from keyweave_lab.inventory import (
    FILE_NAME,
    LabInventory,
    Program,
    ProgramKind,
    read_inventory,
    write_inventory,
)
from keyweave_lab.layout import lay_out
from keyweave_lab.processes import (
    ProcessIdentity,
    ProcessState,
    resident_kb,
    start_process,
    state_of,
    stop_all,
)
from keyweave_lab.settings_tables import Tuning
from keyweave_lab.topology import Topology

READY_WITHIN_S = 60.0
GRACE_S = 5.0

_POLL_S = 0.02
_START_ORDER: tuple[ProgramKind, ...] = ("plant", "agent", "controller")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramState:
    """One program as `inspect` finds it; `rss_kb` is None when it does not run."""

    name: str
    kind: ProgramKind
    pid: int | None
    state: ProcessState
    rss_kb: int | None
    log: Path


_LAYOUTS = 3
"""How often a laboratory is laid out, at most, when somebody else takes its ports."""

_TAKEN = "address already in use"


async def deploy(
    topology: Topology,
    directory: Path,
    clock: Clock,
    *,
    keep: bool = False,
    tuning: Tuning | None = None,
    ready_within_s: float = READY_WITHIN_S,
    told: Callable[[str], None] = lambda _: None,
) -> LabInventory:
    """Lay a laboratory out in `directory`, start all its programs, and return when all of them serve.

    With `keep` the processes outlive this program, otherwise they end with it. `told` hears what happens, a
    line at a time. Raises InvalidInput (the place is not free, or a laboratory runs there), Unavailable (a
    program ended; the text has the end of its log), DeadlineExceeded; then nothing is left running.
    """
    if any(each.state == "running" for each in _states_or_none(directory)):
        raise InvalidInput(
            f"{directory}: a laboratory runs there; stop it first: keyweave lab destroy --lab {directory}"
        )
    for further in reversed(range(_LAYOUTS)):
        inventory = lay_out(topology, directory, clock, keep=keep, tuning=tuning)
        try:
            return await _start(inventory, clock, ready_within_s, told)
        except Unavailable as error:
            # Ports are chosen before their programs bind them; somebody may have come between.
            if not further or _TAKEN not in str(error):
                raise
            told("a port was taken meanwhile: laid out anew")
    raise AssertionError("the last layout returns or raises")


async def start(
    directory: Path,
    clock: Clock,
    *,
    ready_within_s: float = READY_WITHIN_S,
    told: Callable[[str], None] = lambda _: None,
) -> LabInventory:
    """Start those programs of a laid-out laboratory that do not run; errors as `deploy`."""
    return await _start(read_inventory(directory), clock, ready_within_s, told)


async def destroy(directory: Path, clock: Clock, *, grace_s: float = GRACE_S) -> bool:
    """Stop every program of the laboratory in `directory`: TERM, then KILL after `grace_s` seconds.

    False when nothing ran there (or there is no laboratory at all). Files stay.
    """
    try:
        inventory = read_inventory(directory)
    except SettingsError:
        if (directory / FILE_NAME).exists():
            raise
        return False
    processes = [program.process for program in inventory.programs if program.process is not None]
    running = [process for process in processes if state_of(process) == "running"]
    await stop_all(running, clock, grace_s=grace_s)
    return bool(running)


async def start_program(
    directory: Path, name: str, clock: Clock, *, ready_within_s: float = READY_WITHIN_S
) -> None:
    """Start one program (nothing when it runs) and wait until it serves; errors as `deploy`."""
    for program in read_inventory(directory).programs:
        if program.name == name:
            only = (program,)
            await _start(read_inventory(directory), clock, ready_within_s, lambda _: None, only=only)
            return
    raise InvalidInput(f"{directory}: no program {name!r} in this laboratory")


async def stop_program(
    directory: Path, name: str, clock: Clock, *, grace_s: float = GRACE_S, kill: bool = False
) -> None:
    """Stop one program (at once and without warning with `kill`), for instance to see what the rest does."""
    for program in read_inventory(directory).programs:
        if program.name == name:
            if program.process is not None:
                await stop_all([program.process], clock, grace_s=0.0 if kill else grace_s)
            return
    raise InvalidInput(f"{directory}: no program {name!r} in this laboratory")


def inspect(directory: Path) -> tuple[ProgramState, ...]:
    """Every program of the laboratory in `directory`. Raises SettingsError when there is none."""
    return tuple(_state(program) for program in read_inventory(directory).programs)


def _state(program: Program) -> ProgramState:
    state = "stopped" if program.process is None else state_of(program.process)
    running = program.process if state == "running" else None
    return ProgramState(
        name=program.name,
        kind=program.kind,
        pid=None if running is None else running.pid,
        state=state,
        rss_kb=None if running is None else resident_kb(running),
        log=program.log,
    )


def _states_or_none(directory: Path) -> tuple[ProgramState, ...]:
    try:
        return inspect(directory)
    except SettingsError:
        return ()


async def _start(
    inventory: LabInventory,
    clock: Clock,
    ready_within_s: float,
    told: Callable[[str], None],
    *,
    only: tuple[Program, ...] | None = None,
) -> LabInventory:
    deadline = clock.monotonic() + ready_within_s
    started: list[ProcessIdentity] = []
    try:
        for kind in _START_ORDER:
            group = [
                program
                for program in (inventory.programs if only is None else only)
                if program.kind == kind and _state(program).state == "stopped"
            ]
            for program in group:
                process = _launch(program, inventory)
                started.append(process)
                inventory = _with_process(inventory, program.name, process)
                # After each one: whoever destroys this laboratory from elsewhere must find every process.
                write_inventory(inventory)
            for program in group:
                await _until_ready(_named(inventory, program.name), clock, deadline)
            if group:
                told(f"{len(group)} {kind}{'s' if len(group) > 1 else ''} ready")
    except BaseException:
        await in_any_case(lambda: stop_all(started, clock, grace_s=GRACE_S))
        raise
    return inventory


async def in_any_case(work: Callable[[], Awaitable[object]]) -> None:
    """Do `work` to its end, even if we are cancelled again meanwhile (a second Ctrl-C is impatience)."""
    task = asyncio.ensure_future(work())
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                return
    task.result()


def _launch(program: Program, inventory: LabInventory) -> ProcessIdentity:
    program.ready.unlink(missing_ok=True)
    return start_process(
        program.command,
        directory=program.config.parent,
        log=program.log,
        outlives_us=inventory.keep,
    )


async def _until_ready(program: Program, clock: Clock, deadline: float) -> None:
    while not program.ready.exists():
        if program.process is None or state_of(program.process) == "stopped":
            raise Unavailable(
                f"{program.name} ended before it served; {program.log} ends:\n{_tail(program.log)}"
            )
        if clock.monotonic() >= deadline:
            raise DeadlineExceeded(
                f"{program.name} does not serve yet; {program.log} ends:\n{_tail(program.log)}"
            )
        await clock.sleep(_POLL_S)


def _tail(log: Path, lines: int = 8) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) or "(empty)"
    except OSError as error:
        return f"(cannot read: {error.strerror})"


def _named(inventory: LabInventory, name: str) -> Program:
    return next(program for program in inventory.programs if program.name == name)


def _with_process(inventory: LabInventory, name: str, process: ProcessIdentity) -> LabInventory:
    programs = tuple(
        replace(program, process=process) if program.name == name else program
        for program in inventory.programs
    )
    return replace(inventory, programs=programs)
