"""What Prometheus is told. With PROMETHEUS_MULTIPROC_DIR each process writes files there, and all of them are told.

The variable must be set before the first Metrics of a process is made, and a directory has one scorer: counters of dead
workers stay in it, what only living ones have goes by `forget_worker`. A request costs two numbers (about 3 us). On a
full disk numbers are lost, and nothing else (metric_files.py).
"""

import os
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry, Counter, Histogram

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


class LogFigures(Protocol):
    """What a prediction log has counted so far: rows."""

    @property
    def written(self) -> int: ...  # noqa: D102
    @property
    def dropped(self) -> int: ...  # noqa: D102
    @property
    def sampled_out(self) -> int: ...  # noqa: D102


class ShadowFigures(Protocol):
    """What became of the rows that a version was asked silently, so far, and in how many CPU seconds."""

    @property
    def scored(self) -> int: ...  # noqa: D102
    @property
    def failed(self) -> int: ...  # noqa: D102
    @property
    def skipped(self) -> int: ...  # noqa: D102
    @property
    def seconds(self) -> float: ...  # noqa: D102


class Tally:
    """The numbers of one served version, found once: `labels()` costs more than counting does."""

    __slots__ = ("_answered", "_failed", "_refused", "_seconds")

    def __init__(self, requests: "Counter", seconds: "Histogram", labels: tuple[str, str, str]) -> None:
        self._answered, self._refused, self._failed = (requests.labels(*labels, s) for s in ("2xx", "4xx", "5xx"))
        self._seconds = seconds.labels(*labels)

    def answered(self, seconds: float) -> None:
        """A request was answered, so many seconds after its body was whole."""
        self._answered.inc()
        self._seconds.observe(seconds)

    def ended(self, status: int) -> None:
        """A request was not answered, but by this status."""
        (self._failed if status >= 500 else self._refused).inc()


class Metrics:
    """One for each process."""

    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram  # chooses its storage when imported

        from serving.http.metric_files import allocate_first

        allocate_first()
        self._registry = registry = CollectorRegistry()
        of = ("pipeline", "version", "epoch")
        self._requests = Counter("andon_requests", "Requests by outcome", (*of, "status"), registry=registry)
        self._seconds = Histogram(
            "andon_request_seconds", "From the whole body to the answer", of, buckets=SECONDS, registry=registry
        )
        self._log_rows = Counter(
            "andon_log_rows", "Rows of the prediction log", ("pipeline", "outcome"), registry=registry
        )
        self._waiting = Gauge(
            "andon_log_waiting_segments", "Segments that wait to become Parquet", ("pipeline",),
            multiprocess_mode="livesum", registry=registry,
        )  # fmt: skip
        shadow = ("pipeline", "version")
        self._shadow_rows = Counter(
            "andon_shadow_rows", "Rows answered silently", (*shadow, "outcome"), registry=registry
        )
        self._shadow_seconds = Counter(
            "andon_shadow_seconds", "CPU seconds of silent answers", shadow, registry=registry
        )
        self._swaps = Counter("andon_swap", "Exchanges of a champion", ("pipeline", "outcome"), registry=registry)
        self._copied: WeakKeyDictionary[object, dict[str, float]] = WeakKeyDictionary()

    def tally(self, pipeline: str = "", version: str = "", epoch: str = "") -> Tally:
        """The numbers of one served version; empty names for requests that reach none."""
        return Tally(self._requests, self._seconds, (pipeline, version, epoch))

    def copy_log(self, pipeline: str, log: LogFigures) -> None:
        """Take over what a log has counted since the last time; for one thread, and not for each request."""
        for outcome in ("written", "dropped", "sampled_out"):
            self._log_rows.labels(pipeline, outcome).inc(self._more(log, outcome))

    def copy_shadow(self, pipeline: str, version: str, figures: ShadowFigures) -> None:
        """The same for a version that answers in the shadow."""
        for outcome in ("scored", "failed", "skipped"):
            self._shadow_rows.labels(pipeline, version, outcome).inc(self._more(figures, outcome))
        self._shadow_seconds.labels(pipeline, version).inc(self._more(figures, "seconds"))

    def waiting(self, pipeline: str, segments: int) -> None:
        """So many segments of the log wait to become Parquet; who keeps the log says it."""
        self._waiting.labels(pipeline).set(segments)

    def swapped(self, pipeline: str, outcome: str) -> None:
        """A champion was exchanged ("swapped"), or not ("refused", "failed")."""
        self._swaps.labels(pipeline, outcome).inc()

    def text(self) -> bytes:
        """The numbers of all processes, in Prometheus' text format; reads files: not for the event loop."""
        from prometheus_client import generate_latest

        return generate_latest(self._everybody())

    def _more(self, figures: object, name: str) -> float:
        """By how much a figure has grown since it was copied last."""
        copied = self._copied.setdefault(figures, {})
        now: float = getattr(figures, name)
        before, copied[name] = copied.get(name, 0), now
        return now - before

    def _everybody(self) -> "CollectorRegistry":
        from prometheus_client import CollectorRegistry
        from prometheus_client.multiprocess import MultiProcessCollector

        if not os.environ.get(_DIRECTORY):
            return self._registry
        everybody = CollectorRegistry()
        MultiProcessCollector(everybody)  # type: ignore[no-untyped-call]
        return everybody


def forget_worker(pid: int) -> None:
    """Take away what only a living worker has; the supervisor says it of each that has ended."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]
