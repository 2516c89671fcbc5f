"""The picture of the routing benchmark: carried over load, a line for each strategy, its seeds as a band."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
# The same figures give the same file.
mpl.rcParams["svg.hashsalt"] = "keyweave"

from matplotlib import pyplot as plt  # noqa: E402 - the way of drawing is chosen first


def draw(network: str, curves: Mapping[str, Sequence[tuple[float, Sequence[float]]]], path: Path) -> None:
    """Write the picture to `path` (.svg or .png). A curve is points of (load, values of the seeds)."""
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    for name, points in curves.items():
        loads = [load for load, _ in points]
        line = axes.plot(loads, [statistics.fmean(values) for _, values in points], marker="o", label=name)
        axes.fill_between(
            loads,
            [min(values) for _, values in points],
            [max(values) for _, values in points],
            alpha=0.12,
            color=line[0].get_color(),
        )
    axes.axhline(1.0, color="black", linewidth=0.8, linestyle=":")
    axes.set_xlabel("load: offered / maximum concurrent flow")
    axes.set_ylabel("carried / bound of the linear program")
    axes.set_title(f"{network}, reservations (model A), nothing moved")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
