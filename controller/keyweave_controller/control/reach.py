"""What keeps a demand from its target, so that it need not be searched for again until that changes.

Rule of this file: pure. A search that found nothing is worth repeating only when a link opens over which the
target comes within reach. These links are found by going out from the source over everything that fits, as
far as the target could still be reached within the hops that are allowed: the links met on the way that do
not fit, and over which one would have come further. While all of them stay as they are, the same search comes
to the same.
"""

from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.ways import Ask


def blocking(mesh: Mesh, ask: Ask) -> tuple[int, ...] | None:
    """The links of which one must open before the target comes within reach, by place.

    None: it is within reach already, so something else is in the way (a bound on time, a price).
    """
    source, target, rate = ask.source, ask.target, ask.rate_bps
    room, around, inside, needed = mesh.room, mesh.around, mesh.inside, mesh.hops_to(target)
    if needed[source] < 0:
        return ()
    depth = {source: 0}
    shut: list[tuple[int, int, int]] = []
    reached = [source]
    for here in reached:
        further = depth[here] + 1
        if here != source and not inside[here]:
            continue
        for link, there in around[here]:
            if there in depth or further + needed[there] > ask.max_hops:
                continue
            if room[link] < rate:
                shut.append((link, there, further))
            elif there == target:
                return None
            else:
                depth[there] = further
                reached.append(there)
    return tuple(sorted({link for link, there, further in shut if depth.get(there, further + 1) > further}))
