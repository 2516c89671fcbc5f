"""For every test: logging as it was, and nothing of one test's sockets left for the next."""

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog
from hypothesis import settings

# The same examples every time, so that a run says something about the change and not about luck. Who wants
# luck sets HYPOTHESIS_PROFILE=default.
settings.register_profile("steady", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

# A shell starts background jobs with Ctrl-C ignored, and what we start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A program under test configures logging of its process; the next test starts without that."""
    yield
    structlog.reset_defaults()


@pytest.fixture
async def sockets_closed() -> AsyncIterator[None]:
    """Give closed transports the rounds of the loop they need to be gone."""
    yield
    for _ in range(10):
        await asyncio.sleep(0)
    gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test that runs in an event loop leaves it with its transports gone."""
    for item in items:
        if isinstance(item, pytest.Function) and asyncio.iscoroutinefunction(item.function):
            # First to begin, so last to end: other fixtures close sockets too.
            item.fixturenames.insert(0, "sockets_closed")
