#!/usr/bin/env python3
"""What do SPF, DKIM and DMARC cost, beside dkimpy and pyspf in the same run?

    bench/mailauth.py [--rounds 5] [--json]

Everything runs in this process with DNS answered from memory (a warm cache); the numbers are CPU-µs per
operation, the best of interleaved rounds. Trust the ratios, not the numbers: they depend on the machine and
its other load.
"""

import argparse
import asyncio
import base64
import json
import sys
import time
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import cast

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

import dkim
import spf
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sekisho.adapters.clock import SystemClock, SystemDice
from sekisho.adapters.dns.cache import AnswerCache
from sekisho.adapters.stores.memory.store import MemoryStore
from sekisho.core.mailauth.dkim.sign import DkimSigner, sign_message
from sekisho.core.mailauth.dkim.verify import verify_message_now
from sekisho.core.mailauth.dmarc.evaluate import evaluate_dmarc_now
from sekisho.core.mailauth.spf.check import check_message_now
from sekisho.core.mailauth.spf.terms import SpfClient
from sekisho.core.mailauth.synchronous import LookupResolver
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.door.rule import DoorRules
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.dns import Answer, DnsStatus, RecordType
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.ports.stream import Endpoint
from sekisho.probes.arrival import Arrival
from sekisho.probes.budget import BudgetedResolver
from sekisho.services.reception.inspector import DoorInspector, DoorTools
from sekisho.testing.records import MemoryJournal

INSPECTIONS = 50  # in one run of the event loop
NOW = int(time.time())
CLIENT = SpfClient(ip_address("192.0.2.25"), "mail.example.test")
SPF_RECORDS = {
    "example.test": "v=spf1 include:_spf.example.test ip4:198.51.100.0/24 ~all",
    "_spf.example.test": "v=spf1 ip4:203.0.113.0/24 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all",
    "mail.example.test": "v=spf1 a -all",
    "_dmarc.example.test": "v=DMARC1; p=reject; adkim=s; rua=mailto:dmarc@example.test",
}
HEADER = (
    b"Received: from relay.example.test (relay.example.test [192.0.2.26])\r\n\tby mail.example.test with "
    b"ESMTPS id 4fXyZ1\r\n"
    b"\tfor <bob@example.net>; Tue, 24 Nov 2026 05:20:51 +0000\r\nFrom: Alice <alice@example.test>\r\nTo: "
    b"Bob <bob@example.net>\r\n"
    b"Subject: The minutes of yesterday's meeting\r\nDate: Tue, 24 Nov 2026 05:20:51 +0000\r\nMessage-ID: "
    b"<1.2@example.test>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
)
BODIES = {
    "plain": b"The quick brown fox jumps over the lazy dog, and then walks back.\r\n",
    "html": b'    <td class="cell">  <a href="https://example.test/">here</a>\t</td>  \r\n',
    "base64": base64.b64encode(bytes(range(57))) + b"\r\n",
}


def message(octets: int, kind: str) -> bytes:
    line = BODIES[kind]
    return HEADER + line * ((octets - len(HEADER)) // len(line))


class Bench:
    """Pairs of callables, ours and theirs, measured in turns."""

    def __init__(self, rounds: int) -> None:
        self._rounds = rounds
        self._cases: list[tuple[str, Callable[[], object], Callable[[], object] | None, int]] = []

    def add(
        self,
        name: str,
        ours: Callable[[], object],
        theirs: Callable[[], object] | None = None,
        times: int = 1,
    ) -> None:
        """`times`: how often one call does it."""
        self._cases.append((name, ours, theirs, times))

    def run(self) -> list[dict[str, object]]:
        best: dict[tuple[str, bool], float] = {}
        for _ in range(self._rounds):
            for name, ours, theirs, times in self._cases:
                for function, is_ours in ((ours, True), (theirs, False)):
                    if function is not None:
                        key = (name, is_ours)
                        best[key] = min(best.get(key, float("inf")), _cost(function) / times)
        rows = []
        for name, _, theirs, _ in self._cases:
            row: dict[str, object] = {"what": name, "ours_us": round(best[name, True], 1)}
            if theirs is not None:
                row |= {
                    "theirs_us": round(best[name, False], 1),
                    "ratio": round(best[name, False] / best[name, True], 1),
                }
            rows.append(row)
        return rows


def _cost(function: Callable[[], object], seconds: float = 0.1) -> float:
    function()
    count, start = 0, time.process_time()
    while (spent := time.process_time() - start) < seconds:
        for _ in range(5):
            function()
        count += 5
    return spent / count * 1e6


def build(rounds: int) -> Bench:
    key = generate_private_key(65537, 2048)
    rsa = DkimSigner("example.test", "r", key)
    ed25519 = DkimSigner("example.test", "e", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
    records = SPF_RECORDS | {signer.key_name: signer.key_record for signer in (rsa, ed25519)}
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    answers: dict[tuple[str, str], Answer] = {}
    for name, text in records.items():
        answers[name, "TXT"] = Answer(
            name=name, rtype="TXT", status=DnsStatus.NOERROR, records=(text.encode(),), ttl_seconds=300
        )
    answers["mail.example.test", "A"] = Answer(
        name="mail.example.test",
        rtype="A",
        status=DnsStatus.NOERROR,
        records=(CLIENT.address,),
        ttl_seconds=300,
    )

    def lookup(name: str, rtype: RecordType) -> Answer:
        return answers.get((name, rtype)) or Answer(name=name, rtype=rtype, status=DnsStatus.NXDOMAIN)

    resolver = LookupResolver(lookup)

    def dkimpy_lookup(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode().rstrip(".")].encode()

    bench = Bench(rounds)
    for octets in (4096, 65536):
        for kind in BODIES if octets > 4096 else ("plain",):
            signed = sign_message([rsa], message(octets, kind), NOW) + message(octets, kind)
            _check_passes(verify_message_now(signed, resolver, NOW))
            bench.add(
                f"verify rsa-2048, {octets // 1024} KB {kind}",
                lambda signed=signed: verify_message_now(signed, resolver, NOW),
                lambda signed=signed: dkim.verify(signed, dnsfunc=dkimpy_lookup),
            )
        plain = message(octets, "plain")
        bench.add(
            f"sign rsa-2048, {octets // 1024} KB plain",
            lambda plain=plain: sign_message([rsa], plain, NOW),
            lambda plain=plain: dkim.sign(
                plain, b"r", b"example.test", pem, canonicalize=(b"relaxed", b"relaxed")
            ),
        )
        bench.add(
            f"sign ed25519, {octets // 1024} KB plain",
            lambda plain=plain: sign_message([ed25519], plain, NOW),
        )
    _add_spf(bench, resolver, records)
    signed = sign_message([rsa], message(4096, "plain"), NOW) + message(4096, "plain")
    bench.add("SPF + DKIM + DMARC, 4 KB", lambda: _whole(signed, resolver))
    bench.add("the door's whole inspection, 4 KB", _inspection(signed, answers), times=INSPECTIONS)
    return bench


class _Cache:
    """A stub resolver whose cache is warm."""

    def __init__(self, answers: dict[tuple[str, str], Answer]) -> None:
        self._cache = AnswerCache(1000, time.monotonic)
        for (name, rtype), answer in answers.items():
            self._cache.put((name, cast(RecordType, rtype)), answer)

    def cached(self, name: str, rtype: RecordType) -> Answer | None:
        return self._cache.get((name, rtype))

    async def resolve(self, name: str, rtype: RecordType) -> Answer:
        raise SystemExit(f"the cache has no {rtype} of {name}")


def _inspection(signed: bytes, answers: dict[tuple[str, str], Answer]) -> Callable[[], object]:
    """What reception does with a message before it is accepted: iprev, SPF, DKIM, DMARC, verdict, journal
    entry, and the field written."""
    pointer = CLIENT.address.reverse_pointer
    cache = _Cache(
        answers
        | {
            (pointer, "PTR"): Answer(
                name=pointer, rtype="PTR", status=DnsStatus.NOERROR, records=(CLIENT.helo,), ttl_seconds=300
            )
        }
    )
    store = MemoryStore(SystemClock(), SystemDice())
    tools = DoorTools(
        directory=store.directory,
        budgeted=lambda: BudgetedResolver(cache),
        journal=MemoryJournal(),
    )
    inspector = DoorInspector("mx.example.net", DoorRules(), (), tools)
    content = store.spool.open_content()
    content.write(signed)
    envelope = Envelope(
        reverse_path=ReversePath(Address.from_text("alice@example.test")),
        recipients=(Recipient(Address.from_text("bob@example.net")),),
    )
    loop = asyncio.new_event_loop()

    async def inspect() -> None:
        for _ in range(INSPECTIONS):
            header = HeaderSection(signed)
            client = Endpoint(CLIENT.address, 25000)
            found = await inspector.inspect(
                Arrival(
                    message_id="m1",
                    at_us=SystemClock().now_us(),
                    hostname="mx.example.net",
                    envelope=envelope,
                    header=header,
                    content=content,
                    body_offset=header.body,
                    client=client,
                    hello=CLIENT.helo,
                )
            )
            if b"dmarc=pass" not in found.fields:
                raise SystemExit(f"the test message does not pass: {found.fields!r}")

    return lambda: loop.run_until_complete(inspect())


def _add_spf(bench: Bench, resolver: LookupResolver, records: dict[str, str]) -> None:
    def pyspf_lookup(name: str, rtype: str, strict: bool = True, timeout: int = 20) -> list[object]:
        if rtype == "TXT" and name in records:
            return [((name, "TXT"), (records[name].encode(),))]
        return [((name, "A"), str(CLIENT.address))] if rtype == "A" else []

    spf.DNSLookup = pyspf_lookup
    found = spf.check2(i=str(CLIENT.address), s="alice@example.test", h=CLIENT.helo)
    if found[0] != "pass":
        raise SystemExit(f"pyspf does not pass the test message: {found}")
    bench.add(
        "SPF of MAIL FROM (and ours of HELO)",
        lambda: check_message_now(resolver, CLIENT, "alice@example.test"),
        lambda: spf.check2(i=str(CLIENT.address), s="alice@example.test", h=CLIENT.helo),
    )


def _whole(signed: bytes, resolver: LookupResolver) -> None:
    evidence = check_message_now(resolver, CLIENT, "alice@example.test")
    signatures = verify_message_now(signed, resolver, NOW, author_domain="example.test")
    passing = [one.domain for one in signatures if one.result == "pass"]
    spf_domain = evidence.mailfrom.domain if evidence.mailfrom.result == "pass" else None
    finding = evaluate_dmarc_now(resolver, ["example.test"], spf_domain=spf_domain, dkim_domains=passing)
    if finding.result != "pass":
        raise SystemExit(f"the test message does not pass DMARC: {finding}")


def _check_passes(evidence: tuple[object, ...]) -> None:
    if [getattr(one, "result", "") for one in evidence] != ["pass"]:
        raise SystemExit(f"the test message does not pass: {evidence}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = build(options.rounds).run()
    if options.json:
        print(json.dumps(rows))
        return
    print(f"{'':38}{'sekisho':>10}{'others':>10}{'ratio':>8}   CPU-µs per operation")
    for row in rows:
        print(f"{row['what']:38}{row['ours_us']:>10}{row.get('theirs_us', ''):>10}{row.get('ratio', ''):>8}")


if __name__ == "__main__":
    main()
