"""Taking a link out of quarantine, for every door.

Rule of this file: what the deciding code answers is the outcome; the ends do what they do afterwards.
"""

from keyweave_controller.control.events import LinkReleased
from keyweave_controller.engine.ports import Engine
from keyweave_core.errors import Refused
from keyweave_core.model.ids import LinkId
from keyweave_core.runtime.clock import Clock


async def release_link(
    engine: Engine, clock: Clock, request_id: str, link_id: LinkId, requester: str
) -> None:
    """Tell both ends. Raises Refused with the reasons when they are not told."""
    answer = await engine.ask(
        LinkReleased(at=clock.now(), request_id=request_id, link_id=link_id, requester=requester)
    )
    if answer.reasons:
        raise Refused(*answer.reasons)
