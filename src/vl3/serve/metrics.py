"""Figures for Prometheus."""

from collections.abc import Callable, Iterator
from dataclasses import asdict

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vl3.generate import Answer
from vl3.generate.service_config import Stats

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
NOW = {"running", "waiting", "kv_bytes", "prefix_bytes", "vision_bytes"}
"""What of the engine's figures goes up and down; the others only grow."""


class Metrics:
    """The figures of one server."""

    def __init__(self, stats: Callable[[], Stats], stored_bytes: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "vl3_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.in_flight = Gauge("vl3_requests_in_flight", "Requests being answered.", registry=self.registry)
        self.duration_s = Histogram(
            "vl3_request_seconds", "From a request to the end of its answer.", ("route",), registry=self.registry,
            buckets=SECONDS,
        )  # fmt: skip
        self.first_piece_s = Histogram(
            "vl3_first_piece_seconds", "From a request to the first of its answer.", registry=self.registry,
            buckets=SECONDS,
        )  # fmt: skip
        self._prompt = Counter("vl3_prompt_tokens", "Tokens of prompts.", registry=self.registry)
        self._generated = Counter("vl3_generated_tokens", "Tokens of answers.", registry=self.registry)
        self._visual = Counter("vl3_visual_tokens", "Visual tokens, after pruning.", registry=self.registry)
        self._unpruned = Counter("vl3_visual_tokens_before_pruning", "Visual tokens before it.", registry=self.registry)
        self.registry.register(_EngineFigures(stats, stored_bytes))

    def answered(self, answer: Answer) -> None:
        """Counts the tokens of an answer that was given whole."""
        self._prompt.inc(answer.num_prompt_tokens)
        self._generated.inc(answer.num_generated_tokens)
        self._visual.inc(answer.num_visual_tokens)
        self._unpruned.inc(answer.num_visual_tokens_unpruned)

    def page(self) -> bytes:
        """All of it, in Prometheus' text form."""
        return generate_latest(self.registry)


class _EngineFigures(Collector):
    """What the engine says of itself, asked when the page is."""

    def __init__(self, stats: Callable[[], Stats], stored_bytes: Callable[[], int]) -> None:
        self._stats = stats
        self._stored_bytes = stored_bytes

    def collect(self) -> Iterator[Metric]:
        for name, value in asdict(self._stats()).items():
            family = GaugeMetricFamily if name in NOW else CounterMetricFamily
            yield family(f"vl3_engine_{name}", f"Of the engine: {name.replace('_', ' ')}.", value=value)
        yield GaugeMetricFamily("vl3_files_bytes", "Bytes of uploaded files.", value=self._stored_bytes())
