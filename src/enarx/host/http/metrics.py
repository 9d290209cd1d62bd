"""The daemon's metrics, in Prometheus' format."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from enarx.host.errors import STATUS

CONTENT_TYPE = CONTENT_TYPE_LATEST
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60)


class Metrics:
    """All metrics, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.launches = Histogram(
            "enarx_launch_seconds", "Launches, from the pool or not", buckets=SECONDS, registry=self._registry
        )
        self.refusals = Counter("enarx_errors", "Requests refused", ["code"], registry=self._registry)
        for code in STATUS:
            self.refusals.labels(code)  # at 0 from the start: a rate is computed from the second value on
        self.frames = Counter("enarx_input_frames", "Frames given to Keeps", registry=self._registry)
        self.bytes_in = Counter("enarx_input_bytes", "Bytes of frames from tenants", registry=self._registry)
        self.bytes_out = Counter("enarx_output_bytes", "Bytes of frames to tenants", registry=self._registry)
        self._keeps = Gauge("enarx_keeps", "Keeps by state", ["state"], registry=self._registry)

    def text(self, keeps: dict[str, int]) -> bytes:
        """All metrics, with this many Keeps in each state."""
        for state, count in keeps.items():
            self._keeps.labels(state).set(count)
        return generate_latest(self._registry)
