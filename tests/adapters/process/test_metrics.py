import asyncio
import os
import socket

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sekisho.adapters.process import metrics as metrics_module
from sekisho.adapters.process.exporter import Exporter, exposition
from sekisho.adapters.process.metrics import SharedMetrics
from sekisho.ports.metrics import METRICS


def samples(metrics: SharedMetrics) -> dict[tuple[str, ...], float]:
    found = {}
    for family in text_string_to_metric_families(exposition(metrics).decode()):
        for sample in family.samples:
            found[sample.name, *sample.labels.values()] = sample.value
    return found


def in_worker(metrics: SharedMetrics, slot: int, *steps) -> None:
    """In a process of its own, as in the server."""

    async def run() -> None:
        metrics.take_slot(slot)
        for method, *arguments, labels in steps:
            getattr(metrics, method)(*arguments, **labels)
        metrics.publish()

    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            asyncio.run(run())
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


def test_workers_are_added_up() -> None:
    metrics = SharedMetrics(2)
    for slot in (0, 1):
        in_worker(
            metrics,
            slot,
            ("count", "sekisho_connections_total", {"listener": "smtp"}),
            ("count", "sekisho_connections_total", 2.0, {"listener": "smtp"}),
            ("gauge", "sekisho_connections_open", 5, {"listener": "smtp"}),
            ("observe", "sekisho_store_commit_seconds", 0.004, {}),
            ("observe", "sekisho_store_commit_seconds", 99.0, {}),
        )
    found = samples(metrics)
    assert found["sekisho_connections_total", "smtp"] == 6
    assert found["sekisho_connections_open", "smtp"] == 10
    assert found["sekisho_store_commit_seconds_bucket", "0.0025"] == 0
    assert found["sekisho_store_commit_seconds_bucket", "0.005"] == 2
    assert found["sekisho_store_commit_seconds_bucket", "10.0"] == 2
    assert found["sekisho_store_commit_seconds_bucket", "+Inf"] == 4
    assert found["sekisho_store_commit_seconds_count",] == 4
    assert found["sekisho_store_commit_seconds_sum",] == pytest.approx(198.008)


def test_a_dead_workers_counters_stay_and_its_gauges_go() -> None:
    metrics = SharedMetrics(1)
    for _ in range(2):
        in_worker(
            metrics,
            0,
            ("count", "sekisho_connections_total", {"listener": "smtp"}),
            ("gauge", "sekisho_connections_open", 5, {"listener": "smtp"}),
        )
        metrics.forget_worker(0)
    found = samples(metrics)
    assert found["sekisho_connections_total", "smtp"] == 2
    assert ("sekisho_connections_open", "smtp") not in found


def test_every_declared_metric_is_exposed() -> None:
    text = exposition(SharedMetrics(1)).decode()
    for name, (kind, help_text, _) in METRICS.items():
        assert f"# HELP {name} {help_text}" in text
        assert f"# TYPE {name} {kind}" in text


def test_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_module, "SERIES_LIMIT", 3)
    metrics = SharedMetrics(1)
    metrics._slot = 0
    for number in range(10):
        metrics.count("sekisho_faults_total", where=f"place {number}")
    found = samples(metrics)
    assert found["sekisho_faults_total", "other"] == 7
    assert sum(value for key, value in found.items() if key[0] == "sekisho_faults_total") == 10


def test_wrong_labels_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="labels"):
        SharedMetrics(1).count("sekisho_faults_total", listener="x")
    with pytest.raises(KeyError):
        SharedMetrics(1).count("sekisho_nonsense")


def test_a_part_left_half_written_is_skipped() -> None:
    metrics = SharedMetrics(2)
    in_worker(metrics, 0, ("count", "sekisho_store_commits_total", {}))
    in_worker(metrics, 1, ("count", "sekisho_store_commits_total", {}))
    metrics_module._HEAD.pack_into(metrics._memory, 0, 7, 100)
    assert samples(metrics)["sekisho_store_commits_total",] == 1
    metrics.forget_worker(0)
    in_worker(metrics, 0, ("count", "sekisho_store_commits_total", {}))
    assert samples(metrics)["sekisho_store_commits_total",] == 2


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def test_exporter() -> None:
    metrics = SharedMetrics(1)
    metrics.take_slot(0)
    metrics.count("sekisho_store_commits_total")
    exporter = Exporter(metrics)
    sock = socket.create_server(("127.0.0.1", 0))
    await exporter.start([sock])
    port = sock.getsockname()[1]
    answer = await ask(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
    assert b"\nsekisho_store_commits_total 1.0\n" in answer
    assert (await ask(port, b"GET /secret HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.0 404 ")
    assert (await ask(port, b"POST /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.0 405 ")
    assert (await ask(port, b"\0\0\r\n\r\n")).startswith(b"HTTP/1.0 405 ")
    assert await ask(port, b"x" * 20_000) == b""
    exporter.close()
