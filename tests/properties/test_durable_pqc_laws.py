"""The laws of key managers with disks hold in every key mode, with pools that run dry."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test
from tests.agents.keys.pqc_network import PqcNetwork
from tests.properties.test_durable_laws import SOME, Durable

from keyweave_agents.keys.plan import MADE_IN, SuppliedKey
from keyweave_core.model.application import KeyMode, KeyOrigin

FEWER = settings(SOME, max_examples=max(1, SOME.max_examples // 5))


class DurableModes(Durable):
    """A chain of four nodes with disks and ML-DSA identities."""

    mode = KeyMode.QKD_ONLY

    @initialize(seed=st.integers(0, 99))
    def begin(self, seed: int) -> None:
        self.told: dict[str, KeyOrigin] = {}
        self.network = PqcNetwork(4, self.mode, seed=seed, durable=True)
        self.links = list(self.network.links)
        self.network.begin()

    @rule()
    def run_dry(self) -> None:
        """What the pools hold is given up, and time goes by."""
        network = self.network
        for link_id, ends in network.links.items():
            for number in ends:
                network.planes[number].sessions[link_id].pool.own.give_up(tuple(range(network._block + 1)))
        network.wait(4.0)

    def note(self, side: dict[str, bytes], keys: tuple[SuppliedKey, ...]) -> None:
        super().note(side, keys)
        for key in keys:
            assert key.origin in MADE_IN[self.mode]
            assert self.told.setdefault(key.key_id, key.origin) is key.origin, "told otherwise elsewhere"


class DurableHybrid(DurableModes):
    mode = KeyMode.HYBRID


class DurableFallback(DurableModes):
    mode = KeyMode.PQC_FALLBACK


@pytest.mark.parametrize("machine", [DurableHybrid, DurableFallback])
def test_laws_with_disks(machine: type[DurableModes]) -> None:
    run_state_machine_as_test(machine, settings=FEWER)  # type: ignore[no-untyped-call]  # of hypothesis
