"""The conformance suites of 014 and 004 against the agents of a whole laboratory."""

from tests.system.conftest import Network, RunNetwork

from keyweave_core.runtime.clock import SystemClock
from keyweave_lab.conform.etsi004 import bench as bench004
from keyweave_lab.conform.etsi004 import suite as suite004
from keyweave_lab.conform.etsi014 import suite as suite014
from keyweave_lab.conform.etsi014.lines import Options, Sae
from keyweave_lab.conform.https import place_of
from keyweave_lab.conform.report import Report, Verdict

LINE = """
name: line
source: made for the tests
nodes: [{name: A}, {name: B}, {name: C}]
links:
  - {a: A, b: B, length_km: 10}
  - {a: B, b: C, length_km: 10}
applications:
  - {sae_id: sae-a, node: A, min_bandwidth_bps: 8192}
  - {sae_id: sae-b, node: C, min_bandwidth_bps: 8192}
  - {sae_id: sae-c, node: C, min_bandwidth_bps: 8192}
"""


def sae(network: Network, name: str) -> Sae:
    application = network.lab.application(name)
    return Sae(id=name, place=place_of(application.base_url), tls=application.tls)


def side(network: Network, name: str, other: str) -> bench004.Side:
    application = network.lab.application(name)
    return bench004.Side(
        host="localhost",
        port=network.lab.node(application.node).streams_port,
        tls=application.tls,
        source=f"qkd://{name}",
        destination=f"qkd://{other}",
    )


def failed(report: Report) -> dict[str, str]:
    return {result.id: result.seen for result in report.results if result.result is Verdict.FAIL}


async def test_agents_pass(run_network: RunNetwork) -> None:
    async with run_network(LINE) as network:
        for slave, third in (("sae-b", "sae-c"), ("sae-c", "sae-b")):
            options = Options(
                master=sae(network, "sae-a"), slave=sae(network, slave), third=sae(network, third)
            )
            report = await suite014.run_suite(options, SystemClock())
            assert failed(report) == {}
        streams = bench004.Options(
            first=side(network, "sae-a", "sae-b"), second=side(network, "sae-b", "sae-a")
        )
        assert failed(await suite004.run_suite(streams, SystemClock())) == {}
