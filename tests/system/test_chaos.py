"""Whole networks under many faults at once; seeds that once found a defect stay here.

More, by hand: `python -m tests.system.chaos --seeds 31 32 33 --lasts 60`.
"""

import gc
from pathlib import Path

import pytest
from tests.system.chaos import run
from tests.system.chaos_plan import draw


def test_a_seed_gives_one_plan() -> None:
    assert draw(5, lasts_s=10) == draw(5, lasts_s=10)
    assert str(draw(5, lasts_s=10)) != str(draw(6, lasts_s=10))
    assert all(fault.at_s < fault.until_s <= 11 for fault in draw(5, lasts_s=10).faults)


# A client that vanishes in the middle of its handshake leaves the socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", [2, 7, 9])
async def test_a_broken_network_comes_back_whole(seed: int, short_dir: Path) -> None:
    report = await run(draw(seed, lasts_s=4.0, faults_per_s=1.5), short_dir / "lab")
    gc.collect()  # here, where its warnings are expected
    assert report.keys > 0
