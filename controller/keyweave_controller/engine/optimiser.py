"""Seeking a better placement of everything, outside the step.

Rule of this file: a problem goes in, an ordered list of moves comes out; nothing is kept in between. The
search has two parts: what would be best if everybody could split (`relaxation`), and how to get near it by
whole moves that fit one after the other (`stepping`). It runs in a thread for about `LIMIT_S` at most; an
answer that comes too late or not at all costs nothing, because whatever it proposes is checked again.
"""

import asyncio
import threading
import time
from collections.abc import Callable

from keyweave_controller.control.events import ProposedMove
from keyweave_controller.control.problem import PlacementProblem
from keyweave_core.errors import Unavailable

LIMIT_S = 20.0
"""A search is ended after so long ..."""

ROUND_LIMIT_S = 5.0
"""... and one round of it, which nothing can end sooner, takes at most so long."""


def solve(
    problem: PlacementProblem,
    *,
    expired: Callable[[], bool] = lambda: False,
    time_limit_s: float = ROUND_LIMIT_S,
) -> tuple[ProposedMove, ...]:
    """Moves to a better placement, each of which fits once those before it are made.

    `expired` is asked between the rounds of the search, which ends with what it has; each call of the solver
    takes at most `time_limit_s`. The same problem gives the same moves when no time limit cuts in. Raises
    Unavailable when the solver fails.
    """
    if not problem.commodities or problem.most_moves < 1:
        return ()
    # Imported here, because a controller that does not optimise does not need numpy and scipy in memory.
    from keyweave_controller.engine.relaxation import Relaxation
    from keyweave_controller.engine.stepping import Stepping, rounded

    relaxed = Relaxation(problem, expired, time_limit_s)
    choices = relaxed.solve()
    return Stepping(problem, rounded(choices, relaxed.capacity), relaxed.capacity).moves()


class SolverThread:
    """Solves in a thread beside the loop; implements `ports.Optimiser`."""

    async def propose(self, problem: PlacementProblem) -> tuple[ProposedMove, ...]:
        """The moves to a better placement. Raises Unavailable when the solver fails or is cut off."""
        stop = threading.Event()
        until = time.monotonic() + LIMIT_S

        def expired() -> bool:
            return stop.is_set() or time.monotonic() >= until

        try:
            return await asyncio.to_thread(solve, problem, expired=expired)
        except (ImportError, MemoryError, ValueError) as error:
            raise Unavailable(f"the solver failed: {error}") from error
        finally:
            stop.set()
