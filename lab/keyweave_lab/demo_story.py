"""The demo: one network from nothing to the bill, told step by step.

Rule of this file: every step is done through the interfaces that users have (ETSI GS QKD 014, gRPC, the fibre
plant's socket) and checked against what those interfaces say. A step that does not hold ends the demo with
exit status 1 and says which and why; nothing is told that was not seen.

    1 discovery    every agent connected, every fibre generating
    2 first keys   two applications far apart hold the same key
    3 cut          a fibre of the path; keys keep coming, first from the buffer, then over the second way
    4 repair       the alarm clears
    5 refusal      a demand that cannot fit, with the link and the bit/s that lack
    6 bill         what was delivered, path by path, priced
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import Message
from rich.console import Console

from keyweave_controller.settings import Protocol
from keyweave_core.errors import Refused, Unavailable
from keyweave_core.model.units import show_rate
from keyweave_core.runtime.clock import Clock
from keyweave_lab import demo_plan, show
from keyweave_lab.apps import App, AppAddress
from keyweave_lab.demo_traffic import Traffic
from keyweave_lab.demo_wait import until
from keyweave_lab.dial import Controller
from keyweave_lab.inventory import LabInventory
from keyweave_lab.plant_control import PlantClient
from keyweave_lab.topology import Topology
from keyweave_proto.v1 import keyweave_pb2 as pb

CALL_TIMEOUT_S = 20.0
DISCOVERY_S = 30.0
PATIENCE_S = 20.0
IMPOSSIBLE_BPS = 4_000_000_000

Reply = TypeVar("Reply")


class StepFailed(Unavailable):
    """A step of the demo did not hold; the text says what was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One line of the summary."""

    step: str
    fact: str


class Demo:
    """One run on a deployed laboratory."""

    def __init__(
        self,
        topology: Topology,
        lab: LabInventory,
        controller: Controller,
        clock: Clock,
        southbound: Protocol = Protocol.NETCONF_SSH,
    ) -> None:
        self._southbound = southbound.value
        self._topology = topology
        self._lab = lab
        self._controller = controller
        self._clock = clock
        self._plant = PlantClient(lab.plant_socket)
        self._console = Console(highlight=False, soft_wrap=True)
        self.outcomes: list[Outcome] = []

    async def play(self) -> None:
        """All steps in order. Raises StepFailed at the first that does not hold."""
        await self._discovery()
        pair = demo_plan.choose_pair(self._topology)
        source, destination = self._app(pair.source), self._app(pair.destination)
        async with App(source) as master, App(destination) as slave:
            association = await self._first_keys(master, slave)
            traffic = Traffic(master, slave, self._clock)
            async with running_traffic(traffic):
                await traffic.settled()
                fibre = demo_plan.choose_fibre(self._topology, tuple(association.path.node_names))
                await self._cut(association, fibre, traffic)
                await self._repair(fibre)
        await self._refusal()
        await self._bill(association.app_id, traffic.delivered_keys + 1, traffic.delivered_bits)

    # --- steps -----------------------------------------------------------------------------------

    async def _discovery(self) -> None:
        self._head(1, f"Discovery: what the controller read from the agents ({self._southbound})")
        started = self._clock.monotonic()

        async def all_up() -> pb.ListLinksResponse | None:
            nodes = await self._ask(self._controller.topology.ListNodes, pb.ListNodesRequest())
            links = await self._ask(self._controller.topology.ListLinks, pb.ListLinksRequest())
            connected = sum(node.connected for node in nodes.nodes)
            usable = sum(
                link.status == pb.LINK_STATUS_ACTIVE and not link.faults and link.stored_bits > 0
                for link in links.links
            )
            complete = connected == len(self._topology.nodes) and usable == len(self._topology.links)
            return links if complete else None

        links = await until(all_up, self._clock, DISCOVERY_S, "every agent connected and every fibre active")
        took = self._clock.monotonic() - started
        show.print_table(show.links(links))
        self._done(
            "discovery", f"{len(self._topology.nodes)} nodes, {len(links.links)} links in {took:.1f} s"
        )

    async def _first_keys(self, master: App, slave: App) -> pb.Association:
        source, destination = master.address.sae_id, slave.address.sae_id
        self._head(2, f"First keys: {source} asks for a 256-bit key shared with {destination}")
        started = self._clock.monotonic()
        near = (await master.enc_keys(destination, size_bits=256))[0]
        took_ms = (self._clock.monotonic() - started) * 1000
        far = (await slave.dec_keys(source, [near.key_id]))[0]
        self._say(f"{source:>14}  key {near.key_id}  sha256 {near.digest[:32]}...")
        self._say(f"{destination:>14}  key {far.key_id}  sha256 {far.digest[:32]}...")
        self._check(near == far and near.bits == 256, "both applications hold the same 256-bit key")
        association = await self._association(source, destination)
        path = " > ".join(association.path.node_names)
        self._say(f"path {path} ({association.path.hops} hops), first key after {took_ms:.0f} ms")
        self._say("again by hand:")
        self._say("  " + master.address.curl(destination, "enc_keys", "number=1&size=256"))
        self._say("  " + slave.address.curl(source, "dec_keys", "key_ID=<the key_ID of the answer>"))
        self._done("first keys", f"{association.path.hops} hops, first key after {took_ms:.0f} ms")
        return association

    async def _cut(
        self, association: pb.Association, fibre: demo_plan.Fibre | None, traffic: Traffic
    ) -> None:
        if fibre is None:
            self._head(3, "Cut: no fibre of this path has a second way in this topology; nothing is cut")
            self._done("cut", "skipped: the topology has no second way")
            return
        self._head(3, f"Cut: the fibre {fibre.name} breaks while keys are being fetched")
        old_link = association.path.virtual_link_id
        failed_before, keys_before = traffic.failed_requests, traffic.delivered_keys
        cut_at = self._clock.monotonic()
        await self._plant.cut(fibre.link_id)
        moved = await traffic.first_key_beside(old_link, PATIENCE_S)
        if moved is None:
            raise StepFailed(f"no key over another path within {PATIENCE_S:.0f} s; {traffic.last_failure}")
        buffered = traffic.keys_over(old_link, since=cut_at)
        self._say(f"{buffered} keys came from the buffer, then the first over the new path")
        now = await self._association(association.source, association.destination)
        self._say(f"new path {' > '.join(now.path.node_names)} ({now.path.hops} hops)")
        self._check(now.app_id == association.app_id, "the association is the same one")
        self._check(
            not demo_plan.crosses(tuple(now.path.node_names), fibre), "the new path avoids the broken fibre"
        )
        alarm = await self._one_alarm(fibre.link_id, association.app_id)
        self._say(
            f"alarm: {alarm.type} of {alarm.resource_name}: {alarm.text}; affected: {association.app_id}"
        )
        failed = traffic.failed_requests - failed_before
        took_ms = (moved - cut_at) * 1000
        self._check(failed == 0, f"no request failed ({failed} did; {traffic.last_failure})")
        self._check(traffic.unequal_keys == 0, "all keys were equal at both ends")
        fetched = traffic.delivered_keys - keys_before
        self._done(
            "cut",
            f"first key over the new path after {took_ms:.0f} ms, {fetched} keys, {failed} failed requests",
        )

    async def _repair(self, fibre: demo_plan.Fibre | None) -> None:
        if fibre is None:
            return
        self._head(4, f"Repair: the fibre {fibre.name} is whole again")
        started = self._clock.monotonic()
        await self._plant.repair(fibre.link_id)

        async def cleared() -> bool | None:
            return True if not await self._alarms_of(fibre.link_id) else None

        await until(cleared, self._clock, PATIENCE_S, "the alarm to clear")
        took_ms = (self._clock.monotonic() - started) * 1000
        self._done("repair", f"alarm cleared after {took_ms:.0f} ms")

    async def _refusal(self) -> None:
        demand = demo_plan.choose_demand(self._topology)
        source, destination = demand.source, demand.destination
        self._head(5, f"Refusal: {source} wants {show_rate(IMPOSSIBLE_BPS)} to {destination}")
        request = pb.OpenAssociationRequest(
            source=source, destination=destination, qos=pb.Qos(min_bandwidth_bps=IMPOSSIBLE_BPS)
        )
        try:
            answer = await self._ask(self._controller.associations.Open, request)
        except Refused as refusal:
            for reason in refusal.reasons:
                self._say(f"refused: {reason}")
            self._check(
                any("bit/s" in reason for reason in refusal.reasons), "the reason names what lacks in bit/s"
            )
            self._done("refusal", refusal.reasons[0])
        else:
            raise StepFailed(f"a demand that cannot fit was granted: {answer.association.app_id}")

    async def _bill(self, app_id: str, keys: int, bits: int) -> None:
        self._head(6, "Bill: what was delivered, path by path")
        bits += 256  # the first key

        async def complete() -> pb.Bill | None:
            answer = await self._ask(self._controller.accounting.GetBill, pb.GetBillRequest())
            billed = sum(line.delivered_keys for line in answer.lines if line.app_id == app_id)
            return answer if billed >= keys else None

        answer = await until(complete, self._clock, PATIENCE_S, f"{keys} keys on the bill")
        show.print_table(show.bill(answer))
        mine = [line for line in answer.lines if line.app_id == app_id]
        self._check(
            sum(line.delivered_bits for line in mine) == bits
            and sum(line.delivered_keys for line in mine) == keys,
            f"the bill has exactly the {keys} keys and {bits} bits that were fetched",
        )
        self._done("bill", f"{keys} keys, {bits} bits, {answer.total} {answer.currency}")

    # --- looking ---------------------------------------------------------------------------------

    async def _association(self, source: str, destination: str) -> pb.Association:
        """The association of two applications, once the controller has heard that its path stands.

        Keys flow as soon as the agents have their entries; that they have is heard a moment later.
        """

        async def look() -> pb.Association | None:
            found = await self._listed(source, destination)
            return found if found.path.node_names else None

        return await until(look, self._clock, PATIENCE_S, f"the path of {source} and {destination}")

    async def _listed(self, source: str, destination: str) -> pb.Association:
        answer: pb.ListAssociationsResponse = await self._ask(
            self._controller.associations.List, pb.ListAssociationsRequest()
        )
        for item in answer.associations:
            if (item.source, item.destination) == (source, destination):
                return item
        raise StepFailed(f"the controller knows no association of {source} and {destination}")

    async def _alarms_of(self, link_id: str) -> list[pb.Alarm]:
        answer: pb.ListAlarmsResponse = await self._ask(self._controller.alarms.List, pb.ListAlarmsRequest())
        return [alarm for alarm in answer.alarms if alarm.resource == f"link:{link_id}"]

    async def _one_alarm(self, link_id: str, app_id: str) -> pb.Alarm:
        alarms = await self._alarms_of(link_id)
        self._check(len(alarms) == 1, f"one alarm stands for the fibre ({len(alarms)} do)")
        self._check(app_id in alarms[0].affected_app_ids, "the affected association hangs under it")
        return alarms[0]

    def _app(self, sae_id: str) -> AppAddress:
        application = self._lab.application(sae_id)
        return AppAddress(sae_id=sae_id, base_url=application.base_url, tls=application.tls)

    async def _ask(self, call: Callable[..., Reply], request: Message) -> Reply:
        def ask() -> Reply:
            with self._controller.answers():
                return call(request, timeout=CALL_TIMEOUT_S)

        return await asyncio.to_thread(ask)

    # --- telling ---------------------------------------------------------------------------------

    def _head(self, number: int, text: str) -> None:
        self._console.print(f"\n[bold]{number}. {text}[/bold]")

    def _say(self, text: str) -> None:
        self._console.print(f"   {text}", markup=False)

    def _check(self, held: bool, claim: str) -> None:
        if not held:
            raise StepFailed(f"does not hold: {claim}")

    def _done(self, step: str, fact: str) -> None:
        self.outcomes.append(Outcome(step=step, fact=fact))
        self._console.print(f"   [green]holds[/green]: {fact}")


@contextlib.asynccontextmanager
async def running_traffic(traffic: Traffic) -> AsyncIterator[None]:
    """Traffic beside the block; it has ended, its last round included, when the block has."""
    task = asyncio.create_task(traffic.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await traffic.finished()
