"""What writers once wrote, on top of the facts of today: settings may have changed while the node was down.

Rule of this file: pure. What fits no more is left out and named; `apply.decide` accepts what is kept.
"""

from dataclasses import replace

from keyweave_agents.control.apply import association_of, route_of
from keyweave_agents.control.owned import check_channel
from keyweave_core.errors import SchemaViolation
from keyweave_core.model.application import Application
from keyweave_core.model.ids import LinkId
from keyweave_core.model.link import Link, LinkType, PhysicalSpec
from keyweave_core.model.node import Node


def rebase(saved: Node, own: Node) -> tuple[Node, tuple[str, ...]]:
    """Put what a writer once wrote (`saved`) on top of the facts of today (`own`).

    Returns the configuration and a sentence for every entry that no longer fits and was left out: settings
    may have changed while the node was down. `decide` accepts the result.
    """
    written = {link.link_id: link for link in saved.links}
    links: list[Link] = []
    dropped: list[str] = []
    for mine in own.links:
        before = written.pop(mine.link_id, None)
        try:
            if before is not None:
                check_channel(before, mine, own)
        except SchemaViolation as error:
            dropped.append(str(error))
            before = replace(before, physical=mine.physical) if before is not None else None
        links.append(mine if before is None else _rewritten(mine, before))
    for link in written.values():
        try:
            route_of(link, own)
            links.append(link)
        except SchemaViolation as error:
            dropped.append(str(error))
    kept = {link.link_id for link in links}
    candidate = replace(own, links=tuple(links), applications=())
    applications: list[Application] = []
    for application in saved.applications:
        backing = _still_backing(application, saved, kept)
        fitting = replace(application, backing_link_ids=backing)
        try:
            association_of(fitting, candidate, own)
            applications.append(fitting)
        except SchemaViolation as error:
            dropped.append(str(error))
    return replace(candidate, applications=tuple(applications)), tuple(dropped)


def _still_backing(application: Application, saved: Node, kept: set[LinkId]) -> tuple[LinkId, ...]:
    """The links that still back an application: where its keys were split, all of them or none.

    Over fewer paths than before, nodes would get to know keys that they shall not know.
    """
    backing = tuple(link_id for link_id in application.backing_link_ids if link_id in kept)
    virtual = {link.link_id for link in saved.links if link.type is LinkType.VIRT}
    before = [link_id for link_id in application.backing_link_ids if link_id in virtual]
    if len(before) > 1 and not kept.issuperset(before):
        return ()
    return backing


def _rewritten(mine: Link, before: Link) -> Link:
    """A physical link with the node's facts of today and the writer's part of before."""
    physical = mine.physical or PhysicalSpec()
    old = before.physical or PhysicalSpec()
    return replace(
        mine,
        enable=before.enable,
        requested_status=before.requested_status,
        applications=before.applications,
        physical=replace(physical, channel_att_db=old.channel_att_db, wavelength=old.wavelength),
    )
