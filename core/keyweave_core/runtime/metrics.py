"""Counters for the operator, in the text form that Prometheus reads.

Rule of this file: no global registry. A program makes one `Metrics`, hands it to its parts, and shows it
where it likes; two programs in one process (tests, the bench) never mix their numbers. Names start with
`keyweave_` and carry their unit last (`_seconds`, `_bits_total`). Labels never carry key ids: their number
would grow without bound.
"""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Media type of what `Metrics.render` returns."""

DELAY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of a histogram of delays, seconds: from a key on hand to a whole new path."""


class Metrics:
    """The metrics of one program. Each name is made once; a second time raises ValueError."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()

    def counter(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Counter:
        """A number that only grows; `keyweave_<name>_total` to the reader."""
        return Counter(name, help_text, labels, namespace="keyweave", registry=self._registry)

    def gauge(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Gauge:
        """A level; `keyweave_<name>` to the reader."""
        return Gauge(name, help_text, labels, namespace="keyweave", registry=self._registry)

    def delays(self, name: str, help_text: str, labels: Sequence[str] = ()) -> Histogram:
        """Delays in seconds; `keyweave_<name>` to the reader, so the name ends in `_seconds`."""
        return Histogram(
            name,
            help_text,
            labels,
            namespace="keyweave",
            registry=self._registry,
            buckets=DELAY_BUCKETS_S,
        )

    def render(self) -> bytes:
        """Everything as Prometheus text."""
        return generate_latest(self._registry)
