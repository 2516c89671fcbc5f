"""What keeps a demand from its target, so that it need not be searched for again until that changes.

Rule of this file: pure. A search that found nothing is worth repeating only when a link opens over which the
target comes within reach; while all such links stay as they are, the same search comes to the same. There are
two ways to be out of reach:

* One end lies in a pocket, which nothing that fits leaves: the links around the pocket, of which one must
  open. Both ends are gone out from in turn, so that the smaller pocket is found, which mostly is small.
* The target is too far: the links met on the way out from the source that do not fit and over which one would
  have come further, as far as the target could be reached within the hops that are allowed.
"""

from keyweave_controller.control.mesh import Mesh
from keyweave_controller.control.ways import Ask


def blocking(mesh: Mesh, ask: Ask, *, surely: bool = True) -> tuple[int, ...] | None:
    """The links of which one must open before the target comes within reach, by place.

    None: it is within reach already, so something else is in the way (a bound on time, a price). Not
    `surely`: None as well when that is not seen at a glance, for whoever is about to search anyway.
    """
    around = _around_a_pocket(mesh, ask)
    if around is None and (surely or mesh.least_hops_to(ask.target)[ask.source] > ask.max_hops):
        return _on_the_way(mesh, ask)
    return around


def _around_a_pocket(mesh: Mesh, ask: Ask) -> tuple[int, ...] | None:
    """The links around the smaller pocket; None when the ends are joined."""
    room, inside, rate = mesh.room, mesh.inside, ask.rate_bps
    ends = (ask.source, ask.target)
    seen = ({ask.source}, {ask.target})
    edge = [[ask.source], [ask.target]]
    shut: tuple[set[int], set[int]] = (set(), set())
    while True:
        side = 0 if len(edge[0]) <= len(edge[1]) else 1
        mine, other, further = seen[side], seen[1 - side], []
        for here in edge[side]:
            if here != ends[side] and not inside[here]:
                continue
            for link, there in mesh.around[here]:
                if there in mine:
                    continue
                if room[link] < rate:
                    shut[side].add(link)
                elif there in other:
                    return None
                else:
                    mine.add(there)
                    further.append(there)
        if not further:
            return tuple(
                sorted(link for link in shut[side] if not (mesh.a[link] in mine and mesh.b[link] in mine))
            )
        edge[side] = further


def _on_the_way(mesh: Mesh, ask: Ask) -> tuple[int, ...] | None:
    source, target, rate = ask.source, ask.target, ask.rate_bps
    room, inside, needed = mesh.room, mesh.inside, mesh.hops_to(target)
    if needed[source] < 0:
        return ()
    depth = {source: 0}
    shut: list[tuple[int, int, int]] = []
    reached = [source]
    for here in reached:
        further = depth[here] + 1
        if here != source and not inside[here]:
            continue
        for link, there in mesh.around[here]:
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
