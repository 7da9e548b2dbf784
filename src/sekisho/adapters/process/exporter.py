"""GET /metrics for Prometheus, answered by whichever worker accepts: all of them see all sums."""

import asyncio
from collections.abc import Iterator, Sequence
from socket import socket

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from sekisho.adapters.process.metrics import BUCKETS, SharedMetrics
from sekisho.ports.metrics import METRICS

REQUEST_SECONDS = 5.0
REQUEST_OCTETS = 8192
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(metrics: SharedMetrics) -> bytes:
    """The text format of Prometheus, every declared metric in it."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(metrics))
    return generate_latest(registry)


class _Collector:
    def __init__(self, metrics: SharedMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily] = {}
        for name, (kind, text, label_names) in METRICS.items():
            family = {
                "counter": CounterMetricFamily,
                "gauge": GaugeMetricFamily,
                "histogram": HistogramMetricFamily,
            }[kind]
            families[name] = family(name.removesuffix("_total"), text, labels=label_names)
        for name, labels, cell in self._metrics.rows():
            family_of_it = families[name]
            values = dict(labels)
            ordered = [values[label] for label in METRICS[name][2]]
            if isinstance(family_of_it, HistogramMetricFamily):
                family_of_it.add_metric(ordered, _cumulative(cell), cell[-2])
            else:
                family_of_it.add_metric(ordered, cell[0])
        yield from families.values()


def _cumulative(cell: Sequence[float]) -> list[tuple[str, float]]:
    total, rows = 0.0, []
    for bound, count in zip(BUCKETS, cell, strict=False):
        total += count
        rows.append((str(bound), total))
    return [*rows, ("+Inf", cell[-1])]


class Exporter:
    """A minimal HTTP/1.0 server: one request, one answer, goodbye."""

    def __init__(self, metrics: SharedMetrics) -> None:
        self._metrics = metrics
        self._servers: list[asyncio.Server] = []

    async def start(self, sockets: Sequence[socket]) -> None:
        for sock in sockets:
            self._servers.append(await asyncio.start_server(self._serve, sock=sock, limit=REQUEST_OCTETS))

    def close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(request.split(b"\r\n", 1)[0]))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # no request, no answer
        finally:
            writer.close()

    def _answer(self, request_line: bytes) -> bytes:
        method, _, rest = request_line.partition(b" ")
        if method != b"GET":
            return _response("405 Method Not Allowed", b"only GET\n")
        if rest.split(b" ")[0] != b"/metrics":
            return _response("404 Not Found", b"it is /metrics\n")
        return _response("200 OK", exposition(self._metrics))


def _response(status: str, body: bytes) -> bytes:
    return (
        f"HTTP/1.0 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\nConnection: "
        f"close\r\n\r\n".encode()
        + body
    )
