"""Break whole networks on purpose: real processes under a schedule of faults, and what must hold anyway.

By hand, from the project's root:  .venv/bin/python -m tests.system.chaos --seeds 1 2 3 --lasts 60

Rule of this file: nothing is touched here but by `Faults`. Once they are healed, the network must come back
by itself within `HEALED_WITHIN_S`; what does not hold is told with the seed and the schedule.
"""

import argparse
import asyncio
import contextlib
import itertools
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.chaos_checks import View, agreed, outcries, settled
from tests.system.chaos_faults import Faults, app_of
from tests.system.chaos_plan import KINDS, ChaosPlan, draw
from tests.system.chaos_traffic import Pair

from keyweave_core.errors import KeyweaveError
from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.deploy import deploy, destroy, inspect
from keyweave_lab.inventory import LabInventory
from keyweave_lab.topology_file import parse_topology

HEALED_WITHIN_S = 60.0
AFTER_S = 2.0  # applications go on fetching so long after everything was healed


class Broken(AssertionError):
    """An invariant does not hold."""


@dataclass(slots=True)
class Report:
    """What a run saw. `wrong` are broken invariants; the rest are figures."""

    wrong: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    keys: int = 0
    failed: int = 0
    lost: int = 0
    settle_s: float = 0.0
    largest_kb: dict[str, int] = field(default_factory=dict)
    growth_kb: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.keys} keys, {self.failed} requests failed, {self.lost} lost,"
            f" settled in {self.settle_s:.1f} s,"
            f" largest {max(self.largest_kb.values(), default=0)} kB, growth {self.growth_kb} kB"
        )


class Chaos:
    """One run of a plan on a deployed network."""

    def __init__(self, plan: ChaosPlan, lab: LabInventory) -> None:
        self.plan = plan
        self.lab = lab
        self.report = Report()
        self._clock = SystemClock()
        self._faults = Faults(plan, lab, self._clock, self._say)
        self._pairs: list[Pair] = []

    # --- the run ---------------------------------------------------------------------------------

    async def play(self) -> Report:
        """Everything, from the first key to the last check."""
        async with contextlib.AsyncExitStack() as stack:
            await self._until_settled("before anything broke", 40.0)
            seen: set[str] = set()
            for number, (source, destination) in enumerate(self.plan.pairs):
                master = await stack.enter_async_context(app_of(self.lab, source))
                slave = await stack.enter_async_context(app_of(self.lab, destination))
                self._pairs.append(Pair(master, slave, self._clock, self.plan.seed * 100 + number, seen))
            self._faults.began = self._clock.monotonic()
            running = [asyncio.create_task(pair.run()) for pair in self._pairs]
            watch = asyncio.create_task(self._watch())
            faults = [asyncio.create_task(self._faults.perform(fault)) for fault in self.plan.faults]
            try:
                await asyncio.gather(*faults)
                await self._faults.heal()
                await self._clock.sleep(AFTER_S)
                # They ask for more than slow links make, and an overload is rightly an alarm.
                for pair in self._pairs:
                    pair.stop()
                await asyncio.wait_for(asyncio.gather(*running), 60)
                await self._until_settled("after all faults were healed", HEALED_WITHIN_S)
                await self._flowing()
                await self._faults.close_opened()
                await self._until_settled("at the end", HEALED_WITHIN_S)
                await self._billed()
            finally:
                for task in (watch, *running, *faults):
                    task.cancel()
                await asyncio.gather(watch, *running, *faults, return_exceptions=True)
                self._account()
        return self.report

    def _say(self, text: str) -> None:
        self.report.told.append(f"{self._clock.monotonic() - self._faults.began:7.2f} {text}")

    # --- looking ---------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """No process ends by itself; memory is measured."""
        first: dict[tuple[str, int], int] = {}
        looks: dict[int, int] = {}
        while True:
            for one in inspect(self.lab.directory):
                if (
                    one.state == "stopped"
                    and not self._faults.down.get(one.name)
                    and not self._faults.starting.locked()
                ):
                    self.report.wrong.append(f"{one.name} ended by itself; see {one.log}")
                    return
                if one.rss_kb is not None and one.pid is not None:
                    largest = self.report.largest_kb
                    largest[one.name] = max(largest.get(one.name, 0), one.rss_kb)
                    # Its first seconds are a program's start, not its growth.
                    looks[one.pid] = looks.get(one.pid, 0) + 1
                    if looks[one.pid] < 12:
                        continue
                    started = first.setdefault((one.name, one.pid), one.rss_kb)
                    self.report.growth_kb[one.name] = one.rss_kb - started
            await self._clock.sleep(0.5)

    async def _until_settled(self, when: str, within_s: float) -> None:
        began_s = self._clock.monotonic()
        wrong = ["never looked"]
        told_s = 5.0
        while True:
            try:
                view = await asyncio.to_thread(View, self.lab)
                wrong = settled(view, self.lab) or await agreed(view, self.lab, self._clock)
            except KeyweaveError as error:
                wrong = [f"the controller does not answer: {error}"]
            took_s = self._clock.monotonic() - began_s
            if not wrong:
                self.report.settle_s = max(self.report.settle_s, took_s)
                self._say(f"settled {when} in {took_s:.1f} s")
                return
            if took_s > told_s:
                told_s *= 2
                self._say(f"not settled {when} after {took_s:.1f} s: {'; '.join(wrong)[:600]}")
            if took_s > within_s:
                raise Broken(f"{when}, {within_s:.0f} s were not enough:\n  " + "\n  ".join(wrong))
            await self._clock.sleep(0.25)

    async def _flowing(self) -> None:
        """Each pair gets keys, unless the network said why it cannot have them."""
        for pair in self._pairs:
            for attempt in range(5):
                if await pair.round(2):
                    break
                if "bit/s" in pair.account.failures[-1].text and not self._served(pair):
                    break  # refused for want of capacity
                if attempt == 4:
                    raise Broken(f"no keys for {pair.names}: {pair.account.failures[-3:]}")

    def _served(self, pair: Pair) -> bool:
        return any((one.source, one.destination) == pair.names for one in View(self.lab).live)

    async def _billed(self) -> None:
        """The bill is what was fetched; an agent that died forgot its last periods."""
        fetched = sum(pair.account.keys for pair in self._pairs)
        unsure = self._faults.unsure + sum(pair.account.unsure for pair in self._pairs)
        billed = 0
        died = set(self._faults.deaths) - {"controller"}
        for _ in range(12 if died else 40):
            view = await asyncio.to_thread(View, self.lab)
            billed = sum(line.delivered_keys for line in view.bill.lines)
            if billed >= fetched:
                break
            await self._clock.sleep(0.25)
        self._say(f"fetched {fetched}, billed {billed}, unsure requests {unsure}, agents died {sorted(died)}")
        if (billed < fetched and not died) or billed > fetched + 6 * unsure:
            self.report.wrong.append(f"{fetched} keys were fetched and {billed} billed")

    def _account(self) -> None:
        report = self.report
        report.wrong += self._faults.wrong
        for pair in self._pairs:
            account = pair.account
            report.keys += account.keys
            report.failed += len(account.failures)
            report.lost += len(account.lost)
            report.wrong += [f"unequal keys: {text}" for text in account.unequal]
            report.wrong += [f"key id twice: {text}" for text in account.repeated]
            report.wrong += self._unexplained(pair)
            for reason, group in itertools.groupby(
                account.failures, key=lambda one: f"{one.method} {one.status} {one.text[:200]}"
            ):
                many, began = list(group), self._faults.began
                span = f"{many[0].asked_s - began:.2f}..{many[-1].ended_s - began:.2f}"
                self._say(f"{pair.names} {span} {len(many)} times {reason}")
        report.wrong += [f"log: {line}" for line in outcries(self.lab.directory)]

    def _unexplained(self, pair: Pair) -> list[str]:
        """Lost keys: right only when the slave's agent died after they were made and before it was known."""
        wrong, began = [], self._faults.began
        near, far = (self.lab.application(name).node for name in pair.names)
        for supplied_s, asked_s, words in pair.account.lost:
            self._say(
                f"lost at {far}: supplied {supplied_s - began:.2f}, asked {asked_s - began:.2f} ({words})"
            )
            deaths = [each for each in self._faults.deaths.get(far, ()) if each[0] <= asked_s]
            # One that was frozen answers old requests before it has read what happened meanwhile.
            woke = any(0 <= supplied_s - at < 1 for at in self._faults.thaws.get(near, ()))
            if not deaths:
                wrong.append(f"{pair.names}: a key was lost though {far} never died: {words}")
            elif supplied_s > deaths[-1][1] + 1.0 and not woke:
                wrong.append(f"{pair.names}: a key supplied after {far} was back is lost: {words}")
        return wrong


@contextlib.asynccontextmanager
async def network(plan: ChaosPlan, directory: Path) -> AsyncIterator[LabInventory]:
    """The plan's network, deployed."""
    clock = SystemClock()
    lab = await deploy(parse_topology(plan.topology.encode(), where=f"seed {plan.seed}"), directory, clock)
    try:
        yield lab
    finally:
        await destroy(directory, clock)


async def run(plan: ChaosPlan, directory: Path) -> Report:
    """Deploy, break, heal, check. Raises Broken with seed, schedule and what happened."""
    async with network(plan, directory) as lab:
        chaos = Chaos(plan, lab)
        try:
            report = await chaos.play()
        except (Broken, TimeoutError) as error:
            chaos.report.wrong.append(str(error) or "traffic did not end")
            report = chaos.report
    if report.wrong:
        text = "\n".join((str(plan), *report.told, "WRONG:", *report.wrong))
        raise Broken(text)
    return report


def main() -> int:
    """Run seeds by hand; 1 when any of them broke something. The logs of those stay."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--lasts", type=float, default=20.0, help="seconds of faults")
    parser.add_argument("--rate", type=float, default=0.8, help="faults a second")
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=KINDS)
    parser.add_argument("--tell", action="store_true", help="what happened, also when all held")
    options = parser.parse_args()
    broken = 0
    for seed in options.seeds:
        plan = draw(seed, lasts_s=options.lasts, faults_per_s=options.rate, kinds=tuple(options.kinds))
        folder = Path(tempfile.mkdtemp(prefix="kw-"))
        try:
            report = asyncio.run(run(plan, folder / "lab"))
        except Broken as error:
            broken += 1
            print(f"=== seed {seed} BROKEN, logs in {folder}\n{error}", flush=True)
        else:
            shutil.rmtree(folder)
            print(f"=== seed {seed} held: {report}", flush=True)
            if options.tell:
                print("\n".join(report.told), flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
