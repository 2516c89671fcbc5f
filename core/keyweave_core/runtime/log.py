"""Logging: one structured line per event, on standard error.

Rule of this file: no line ever carries key bytes. Key material lives in `keyweave_agents.material`, whose
values print as a length and nothing else; this module adds a second fence by refusing raw bytes: a `bytes`
value given to a logger is replaced by its length before any renderer sees it.
"""

import contextlib
import logging
import sys
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

Logger = FilteringBoundLogger


def hide_bytes(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace every bytes-like value of an event by its length."""
    for name, value in event.items():
        if isinstance(value, bytes | bytearray | memoryview):
            event[name] = f"<{len(value)} bytes>"
    return event


class StandardError:
    """Wherever standard error leads now; a sink that is gone (closed, full) never stops the work."""

    def write(self, text: str) -> None:
        """Write `text`, or drop it."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        """Push out what was written, as far as that goes."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


def configure_logging(*, level: str = "info", form: Literal["console", "json"] = "json") -> None:
    """Set up logging of this process, once, at program start."""
    # A traceback shows where, never with what: local variables of a key manager hold keys.
    traces = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=False)
        if form == "console"
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            hide_bytes,
            traces if form == "json" else structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.WriteLoggerFactory(file=cast("TextIO", StandardError())),
        cache_logger_on_first_use=True,
    )
    # Libraries that log by the standard module: warnings and worse only, in plain lines.
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s", force=True
    )


def get_logger(part: str) -> Logger:
    """A logger whose lines carry `part`."""
    logger: Logger = structlog.get_logger().bind(part=part)
    return logger
