"""How long does a request wait for its first key when no path exists yet?

Chain A-B-C-D, 3 hops. The request at A starts everything: notification, routing, admission, two rounds of
edit-config, relay. Floor in the same run: two rounds of one edit-config to all four agents (by the client
that the controller uses), plus one request that finds a key in the buffer.
"""

import asyncio
from time import perf_counter

from benchmarks.figures import quantile
from benchmarks.networks import CLOCK, line, running
from benchmarks.raw_http import connect, get
from keyweave_core.errors import KeyweaveError
from keyweave_core.model.ids import link_id
from keyweave_core.netconf.client.client import NetconfClient
from keyweave_core.netconf.client.client import connect as netconf
from keyweave_lab.dial import Controller
from keyweave_lab.inventory import LabInventory
from keyweave_proto.v1 import keyweave_pb2 as pb
from keyweave_yang.edits import edit_config

ROUNDS = 15


async def measure() -> str:
    cold: list[float] = []
    warm: list[float] = []
    async with running(line(4)) as (lab, controller):
        master = lab.application("sae-a")
        port = lab.node("A").service_port
        async with await connect(port, master.tls) as client:
            request = get("/api/v1/keys/sae-d/enc_keys")
            for _ in range(ROUNDS):
                started = perf_counter()
                status, body = await client.request(request)
                cold.append((perf_counter() - started) * 1000)
                assert status == 200, body
                for _ in range(5):
                    started = perf_counter()
                    status, body = await client.request(request)
                    warm.append((perf_counter() - started) * 1000)
                await _close_all(controller)
        rounds = await _edit_rounds(lab)
    floor = 2 * quantile(rounds, 0.5) + quantile(warm, 0.5)
    return (
        f"first key over 3 hops, no path yet ({ROUNDS} times): "
        f"p50 {quantile(cold, 0.5):.0f} ms, worst {max(cold):.0f} ms\n"
        f"floor in the same run: {floor:.0f} ms = 2 x {quantile(rounds, 0.5):.1f} ms (one edit-config on "
        f"four agents side by side) + {quantile(warm, 0.5):.1f} ms (a request served from the buffer)\n"
        f"ratio {quantile(cold, 0.5) / floor:.1f}; goal: at most 150 ms\n"
    )


async def _close_all(controller: Controller) -> None:
    with controller.answers():
        for item in controller.associations.List(pb.ListAssociationsRequest(), timeout=5).associations:
            controller.associations.Close(pb.CloseAssociationRequest(app_id=item.app_id), timeout=5)
    await asyncio.sleep(0.5)


async def _edit_rounds(lab: LabInventory) -> list[float]:
    key = lab.netconf_key.read_text()
    sessions: list[NetconfClient] = [
        await netconf(
            "127.0.0.1",
            node.netconf_port,
            username=lab.netconf_user,
            key=key,
            host_key=node.host_key.read_text(),
            clock=CLOCK,
        )
        for node in lab.nodes
    ]
    nothing = [edit_config(remove_links=(link_id("00000000-0000-4000-8000-000000000000"),))]
    took: list[float] = []
    try:
        for _ in range(20):
            started = perf_counter()
            await asyncio.gather(*(session.edit_config("running", nothing) for session in sessions))
            took.append((perf_counter() - started) * 1000)
    except KeyweaveError as error:
        raise SystemExit(f"an agent refused the empty edit: {error}") from error
    finally:
        for session in sessions:
            await session.close()
    return took
