"""Calling home (RFC 8071): the server dials the client, and serves it as if it had been dialled.

Rule of this file: one endpoint, one connection at a time; after its end, or when there was none, the next
attempt comes by backoff with jitter. One that stood for a while was good: patience starts anew.
"""

import asyncssh

from keyweave_core.errors import KeyweaveError
from keyweave_core.netconf.transport import Service
from keyweave_core.runtime.clock import Clock
from keyweave_core.runtime.log import Logger
from keyweave_core.runtime.retry import Backoff, Uniform


async def keep_calling(
    service: Service,
    host: str,
    port: int,
    *,
    backoff: Backoff,
    uniform: Uniform,
    clock: Clock,
    log: Logger,
) -> None:
    """Keep one endpoint called until cancelled."""
    delays = backoff.delays(uniform)
    silent = False
    while True:
        began = clock.monotonic()
        try:
            await service.call(host, port)
        except (OSError, asyncssh.Error, KeyweaveError) as error:
            # Told once: a controller that is away for a day must not fill the log.
            if not silent:
                reason = str(error) or type(error).__name__
                log.warning("call home failed", host=host, port=port, reason=reason)
            silent = True
        else:
            silent = False
            log.info("call home ended", host=host, port=port)
        if clock.monotonic() - began > backoff.most_s:
            delays = backoff.delays(uniform)
        await clock.sleep(next(delays))
