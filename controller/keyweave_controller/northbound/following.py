"""Following the engine's changes without a gap between what was shown and what is told next."""

import asyncio
from collections.abc import AsyncGenerator

from keyweave_controller.control.actions import Changed
from keyweave_controller.engine.ports import Engine


async def changes_of(engine: Engine) -> AsyncGenerator[Changed, None]:
    """An empty change as soon as the engine is being watched, then every change from that moment on.

    Take the first, then look at the state, then go on: whatever changes after the look is told. Behind a slow
    reader the engine merges changes, so what is kept is bounded by the size of the network.
    """
    changes = engine.watch()
    # The engine starts to note changes when the first is asked for: ask before the state is looked at.
    pending = asyncio.ensure_future(anext(changes, None))
    try:
        await asyncio.sleep(0)
        yield Changed()
        while (change := await pending) is not None:
            pending = asyncio.ensure_future(anext(changes, None))
            yield change
    finally:
        pending.cancel()
        await asyncio.wait([pending])
        if isinstance(changes, AsyncGenerator):
            await changes.aclose()
