"""Rules before there is a message, over evidence that stands for itself."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from sekisho.core.policy.door.connection import (
    AT_GREETING,
    AT_MAIL,
    AT_RCPT,
    AT_REFUSED_RCPT,
    CONNECTION_RULES,
    RATE_RULES,
)
from sekisho.core.policy.door.judge import judge
from sekisho.core.policy.door.rule import ACCEPTED, DoorRules, Rule
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.greeting import EarlyFinding, HeloFinding, forgery_of_address, hello_address
from sekisho.core.policy.rates import Measure, RateFinding, RateLimits

LIMITS = RateLimits(
    window_seconds=60, connections=10, messages=10, recipients=10, errors=10, refused=10, known_factor=3
)
RULES = DoorRules(limits=LIMITS)
STAGES = (*AT_GREETING, *AT_MAIL, *AT_RCPT)


def _rate(measure: Measure, count: int, vouched: str = "") -> Evidence:
    return Evidence(rate=RateFinding("192.0.2.0/24", {measure: count}, vouched))


def test_every_rule_has_its_stage() -> None:
    assert STAGES == CONNECTION_RULES and len({rule.name for rule in CONNECTION_RULES}) == len(
        CONNECTION_RULES
    )


@pytest.mark.parametrize(
    ("among", "measure", "rule", "code"),
    [
        (AT_GREETING, "connections", "connection-rate", 421),
        (AT_GREETING, "errors", "error-flood", 421),
        (AT_GREETING, "refused", "address-harvest", 421),
        (AT_REFUSED_RCPT, "refused", "address-harvest", 421),
        (AT_MAIL, "messages", "message-rate", 421),
        (AT_RCPT, "recipients", "recipient-rate", 450),
    ],
)
def test_too_much_has_to_wait(among: tuple[Rule, ...], measure: Measure, rule: str, code: int) -> None:
    assert judge(_rate(measure, 10), RULES, among) == ACCEPTED
    verdict = judge(_rate(measure, 11), RULES, among)
    assert verdict.reply is not None and (verdict.rule, verdict.reply.code) == (rule, code)
    assert verdict.action == ("disconnect" if code == 421 else "defer")
    assert verdict.because.startswith("192.0.2.0/24: 11 ") and verdict.because.endswith(
        "in 60 seconds, of 10"
    )
    assert judge(
        _rate(measure, 11), DoorRules(modes={**dict.fromkeys(RATE_RULES, "observe")}, limits=LIMITS), among
    ).observed
    assert (
        judge(_rate(measure, 11), DoorRules(modes={**dict.fromkeys(RATE_RULES, "off")}, limits=LIMITS), among)
        == ACCEPTED
    )
    assert judge(_rate(measure, 99), DoorRules(limits=replace(LIMITS, **{measure: 0})), among) == ACCEPTED


def test_whom_we_know_may_do_more() -> None:
    assert judge(_rate("messages", 30, "network 192.0.2.0/24: 9 messages"), RULES, AT_MAIL) == ACCEPTED
    assert (
        judge(_rate("messages", 31, "network 192.0.2.0/24: 9 messages"), RULES, AT_MAIL).rule
        == "message-rate"
    )


def test_who_speaks_before_the_greeting_is_sent_away() -> None:
    verdict = judge(Evidence(early=EarlyFinding(before_greeting=True)), RULES, AT_GREETING)
    assert (
        (verdict.action, verdict.rule) == ("disconnect", "early-talker")
        and verdict.reply is not None
        and verdict.reply.code == 421
    )
    assert judge(Evidence(early=EarlyFinding(behind_hello=True)), RULES, STAGES) == ACCEPTED


@pytest.mark.parametrize(
    ("finding", "code"),
    [
        (HeloFinding("mx.ours.example", "own-name", True), 550),
        (HeloFinding("ours.example", "own-domain", True), 550),
        (HeloFinding("ours.example", "own-domain", False), 0),
        (HeloFinding("ours.example", "own-domain", None), 0),  # could not know
        (HeloFinding("[192.0.2.25]", "own-address", True), 0),  # RFC 5321 §4.1.4
        (HeloFinding("[198.51.100.1]", "address", True), 0),
        (HeloFinding("client.example"), 0),
    ],
)
def test_only_a_name_of_ours_is_refused(finding: HeloFinding, code: int) -> None:
    reply = judge(Evidence(helo=finding), RULES, STAGES).reply
    assert (reply.code if reply is not None else 0) == code
    assert judge(Evidence(helo=finding), DoorRules(modes={"helo-forged": "observe"}), STAGES).reply is None


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("[192.0.2.1]", "192.0.2.1"),
        ("192.0.2.1", "192.0.2.1"),
        ("[ipv6:2001:db8::1]", "2001:db8::1"),
        ("host.example", None),
        ("[x]", None),
        ("", None),
    ],
)
def test_addresses_in_hello(name: str, address: str | None) -> None:
    assert hello_address(name) == (ip_address(address) if address else None)


def test_whose_address_it_is() -> None:
    client, own = ip_address("192.0.2.7"), ip_address("192.0.2.25")
    assert forgery_of_address("[192.0.2.7]", client, own) == ""
    assert forgery_of_address("[192.0.2.7]", ip_address("::ffff:192.0.2.7"), own) == ""
    assert forgery_of_address("[192.0.2.25]", client, own) == "own-address"
    assert forgery_of_address("[192.0.2.9]", client, own) == "address"
