"""CPU of DNS, SPF and DMARC, beside dnspython and pyspf in the same run.

    python bench/questions.py [--rounds 3]

Figures are per CPU-second of this process; the DNS server is another process. Trust the ratios.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import dns.asyncresolver
import spf
import uvloop

from sekisho.adapters.clock import SystemClock
from sekisho.adapters.dns.resolver import StubResolver
from sekisho.config.schema import ResolverSettings
from sekisho.core.mailauth.dmarc.evaluate import evaluate_dmarc
from sekisho.core.mailauth.iprev.check import check_iprev
from sekisho.core.mailauth.spf.check import check_host, check_message
from sekisho.core.mailauth.spf.terms import SpfClient
from sekisho.testing.zones import Zone

ZONE = """
*.w.example              A    192.0.2.1
example.com              TXT  "v=spf1 include:_spf.example.com include:mail.example.net ~all"
_spf.example.com         TXT  "v=spf1 include:_n1.example.com include:_n2.example.com ~all"
_n1.example.com          TXT  "v=spf1 ip4:35.190.247.0/24 ip4:64.233.160.0/19 ip4:66.102.0.0/20 ~all"
_n2.example.com          TXT  "v=spf1 ip6:2001:4860:4000::/36 ip6:2404:6800:4000::/36 ip4:192.0.2.0/24 ~all"
mail.example.net         TXT  "v=spf1 a mx -all"
mx.example.com           A    192.0.2.7
mx.example.com           TXT  "v=spf1 a -all"
7.2.0.192.in-addr.arpa   PTR  mx.example.com
_dmarc.example.com       TXT  "v=DMARC1; p=reject; rua=mailto:dmarc@example.com"
"""
CLIENT = SpfClient(IPv4Address("192.0.2.7"), "mx.example.com")
CONCURRENT = 100


async def per_second(count: int, ask: Callable[[int], Awaitable[object]], concurrent: int = 1) -> float:
    numbers = iter(range(count))

    async def worker() -> None:
        for number in numbers:
            await ask(number)

    start = time.process_time()
    await asyncio.gather(*(worker() for _ in range(concurrent)))
    return count / (time.process_time() - start)


async def measure_ours(address: str) -> dict[str, float]:
    cold = StubResolver(ResolverSettings(servers=(address,), cache_entries=0), SystemClock())
    warm = StubResolver(ResolverSettings(servers=(address,)), SystemClock())

    async def whole(_: int) -> None:
        await check_message(warm, CLIENT, "joe@example.com")
        await check_iprev(warm, CLIENT.address)
        await evaluate_dmarc(warm, ["example.com"], spf_domain="example.com", dkim_domains=["example.com"])

    await whole(0)
    figures = {
        "question, uncached": await per_second(
            20_000, lambda n: cold.resolve(f"h{n}.w.example", "A"), CONCURRENT
        ),
        "question, warm": await per_second(200_000, lambda _: warm.resolve("example.com", "TXT")),
        "SPF of MAIL FROM, warm": await per_second(
            10_000, lambda _: check_host(warm, CLIENT, "joe@example.com")
        ),
        "SPF of both, warm": await per_second(
            10_000, lambda _: check_message(warm, CLIENT, "joe@example.com")
        ),
        "SPF, iprev and DMARC, warm": await per_second(10_000, whole),
    }
    await cold.close()
    await warm.close()
    return figures


async def measure_dnspython(address: str) -> dict[str, float]:
    host, _, port = address.rpartition(":")
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [host], int(port)
    resolver.use_edns(0, 0, 1232)
    return {
        "dnspython: question, uncached": await per_second(
            2_000, lambda n: resolver.resolve(f"h{n}.w.example", "A"), CONCURRENT
        )
    }


def measure_pyspf() -> dict[str, float]:
    zone = Zone.from_text(ZONE)

    def lookup(name: str, qtype: str, *_: object) -> list[tuple[tuple[str, str], object]]:
        answer = zone.answer(name, qtype)  # type: ignore[arg-type]  # pyspf asks for types that zones know, or SPF
        return [((name, qtype), (r,) if qtype == "TXT" else str(r)) for r in answer.records]

    spf.DNSLookup = lookup
    start = time.process_time()
    for _ in range(2_000):
        spf.query(i="192.0.2.7", s="joe@example.com", h="mx.example.com", querytime=20).check()
    return {"pyspf: SPF of MAIL FROM, DNS from memory": 2_000 / (time.process_time() - start)}


@contextmanager
def dns_server():  # type: ignore[no-untyped-def]  # a script's own helper
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "zone"
        path.write_text(ZONE)
        command = [sys.executable, "-m", "sekisho.testing.dnsserver", str(path)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": "src"}
        ) as process:
            try:
                yield process.stdout.readline().strip()
            finally:
                process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    figures: dict[str, list[float]] = {}
    with dns_server() as address:
        for _ in range(rounds):
            for loop, run in (("asyncio", asyncio.run), ("uvloop", uvloop.run)):
                for measured in (run(measure_ours(address)), run(measure_dnspython(address))):
                    for name, value in measured.items():
                        figures.setdefault(f"{name} ({loop})", []).append(value)
            for name, value in measure_pyspf().items():
                figures.setdefault(name, []).append(value)
    for name, values in figures.items():
        middle = statistics.median(values)
        print(f"{name:50} {middle:12,.0f} / CPU-s {1e6 / middle:10.1f} us")


if __name__ == "__main__":
    main()
