"""What holds whatever the evidence is, and in whatever order the rules stand."""

import ast
from dataclasses import fields, replace
from ipaddress import ip_address
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.mailauth.arc.verify import ArcEvidence
from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.iprev.check import IprevFinding
from sekisho.core.mailauth.spf.terms import SpfEvidence, SpfFinding
from sekisho.core.policy.authorship import AuthorshipFinding
from sekisho.core.policy.content import ClamavFinding, ContentFinding, RspamdFinding
from sekisho.core.policy.dnsbl import DnsblFinding, Listing
from sekisho.core.policy.door.connection import CONNECTION_RULES
from sekisho.core.policy.door.judge import RULES, judge
from sekisho.core.policy.door.rule import DoorRules, Rule
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.greeting import EarlyFinding, HeloFinding
from sekisho.core.policy.greylist import GreylistFinding, GreylistTry
from sekisho.core.policy.impersonation import ImpersonationFinding
from sekisho.core.policy.rates import MEASURES, RateFinding
from sekisho.core.policy.reputation import (
    DAY_US,
    NOTHING,
    History,
    ReputationFinding,
    joined,
    of_event,
    standing,
)
from sekisho.core.policy.s25r import S25rFinding
from sekisho.core.policy.sender import SenderFinding

NOW = 1_800_000_000_000_000
CLIENT = ip_address("192.0.2.7")
EVERY = CONNECTION_RULES + RULES
# They have a client or its DNS come again, and never turn it away for good.
ONLY_TEMPORARY = {
    "early-talker",
    "connection-rate",
    "message-rate",
    "recipient-rate",
    "error-flood",
    "address-harvest",
}
ONLY_TEMPORARY |= {"greylist", "bad-reputation"}

_DOMAINS = st.sampled_from(
    ["ours.example", "mail.ours.example", "bank.example", "list.example", "evil.example"]
)
_RULES = st.builds(
    DoorRules,
    on_temperror=st.sampled_from(["accept", "defer"]),
    trusted_sealers=st.sampled_from([frozenset(), frozenset({"list.example"})]),
)


def _history(*events: str) -> History:
    found = NOTHING
    for event in events:
        found = joined(found, of_event(event, NOW - DAY_US), 30 * DAY_US)  # type: ignore[arg-type]
    return found


_HISTORIES = st.lists(
    st.sampled_from(["accepted", "suspect", "refused", "junk", "cleared", "written"]), max_size=12
).map(lambda all_: _history(*all_))


def _standing(key: str) -> st.SearchStrategy[object]:
    return _HISTORIES.map(lambda history: standing(key, history, NOW, 30 * DAY_US))


def _spf(results: list[str]) -> st.SearchStrategy[SpfEvidence]:
    return st.builds(
        lambda domain, result: SpfEvidence(SpfFinding(identity="mailfrom", domain=domain, result=result)),
        _DOMAINS,
        st.sampled_from(results),
    )


def _dkim(results: list[str]) -> st.SearchStrategy[tuple[DkimEvidence, ...]]:
    one = st.builds(DkimEvidence, result=st.sampled_from(results), reason=st.just(""), domain=_DOMAINS)
    return st.lists(one, max_size=3).map(tuple)


# Of each field: what could be known, and what says that it could not.
_KNOWN: dict[str, st.SearchStrategy[object]] = {
    "iprev": st.builds(
        IprevFinding,
        st.sampled_from(["pass", "fail", "permerror"]),
        st.just(CLIENT),
        st.sampled_from(["", "dsl12-34.evil.example"]),
    ),
    "spf": _spf(["pass", "fail", "softfail", "neutral", "none", "permerror"]),
    "dkim": _dkim(["pass", "fail", "policy", "neutral", "permerror"]),
    "arc": st.builds(
        lambda result, sealer, seen: ArcEvidence(
            result=result, reason="", instances=1, sealers=(sealer,), seen=(seen,)
        ),
        st.sampled_from(["none", "pass", "fail"]),
        _DOMAINS,
        st.sampled_from([b"i=1; x; dkim=pass header.d=bank.example", b"", b"i=1; ("]),
    ),
    "dmarc": st.builds(
        lambda result, domain, policy: DmarcFinding(result, domain, domain, policy=policy, requested=policy),
        st.sampled_from(["pass", "fail", "none", "permerror"]),
        _DOMAINS,
        st.sampled_from(["none", "quarantine", "reject"]),
    ),
    "own_authors": st.sampled_from([(), ("ours.example",)]),
    "list_id": st.sampled_from(["", "club.list.example"]),
    "reputation": st.builds(
        ReputationFinding,
        client=_standing("client:192.0.2.7"),
        network=_standing("network:192.0.2.0/24"),
        domain=st.none() | _standing("domain:bank.example"),
        organization=st.sampled_from(["", "bank.example"]),
        author=st.just("x@bank.example"),
        pairs=st.fixed_dictionaries({1: _standing("pair:x 1")}),
        roles=st.sampled_from([frozenset(), frozenset({1})]),
    ),
    "dnsbl": st.lists(
        st.builds(
            Listing, st.sampled_from(["a.test", "b.test"]), st.sampled_from(["listed", "clear"]), st.just(2.0)
        ),
        max_size=3,
    ).map(lambda found: DnsblFinding(tuple(found), len(found))),
    "s25r": st.builds(S25rFinding, st.sampled_from([(), (0,), (1, 2)]), st.just("dsl12-34.evil.example")),
    "content": st.builds(
        ContentFinding,
        roles=st.sampled_from([frozenset(), frozenset({1})]),
        is_test=st.booleans(),
        account_ids=st.just((1,)),
    ),
    "rspamd": st.builds(
        RspamdFinding,
        score=st.just(20.0),
        required=st.just(15.0),
        action=st.sampled_from(["no action", "add header", "soft reject", "reject"]),
    ),
    "clamav": st.builds(ClamavFinding, st.sampled_from(["", "Eicar"])),
    "sender": st.builds(SenderFinding, _DOMAINS, st.sampled_from(["exists", "missing"])),
    "greylist": st.builds(
        GreylistFinding,
        key=st.just("k"),
        tried=st.none() | st.just(GreylistTry(NOW - DAY_US // 2, NOW)),
        now_us=st.just(NOW),
        code=st.sampled_from(["", "code"]),
    ),
    "roles": st.sampled_from([frozenset(), frozenset({1})]),
    "reverse_domain": st.just("") | _DOMAINS,
    "leads_away": st.booleans(),
    "impersonated": st.just(ImpersonationFinding("boss@ours.example", "x@evil.example", "name")),
    "authorship": st.builds(
        AuthorshipFinding,
        problem=st.sampled_from(["", "there are 2 From fields"]),
        author=st.just("x@bank.example"),
        own_shown=st.sampled_from([(), ("ours.example",)]),
        shown=st.sampled_from([(), (DmarcFinding("fail", "bank.example", policy="reject"),)]),
        too_many_shown=st.booleans(),
        is_notice=st.booleans(),
    ),
    "early": st.builds(EarlyFinding, st.booleans(), st.booleans()),
    "helo": st.builds(
        HeloFinding,
        _DOMAINS,
        st.sampled_from(["", "own-name", "own-domain", "own-address", "address"]),
        st.booleans(),
    ),
    "rate": st.builds(
        RateFinding,
        st.just("192.0.2.0/24"),
        st.fixed_dictionaries({m: st.integers(0, 10**6) for m in MEASURES}),
        st.sampled_from(["", "good"]),
    ),
}
_UNKNOWN: dict[str, st.SearchStrategy[object]] = {
    "iprev": st.just(IprevFinding("temperror", CLIENT)),
    "spf": _spf(["temperror"]),
    "dkim": _dkim(["temperror"]),
    "arc": st.just(
        ArcEvidence(
            result="fail",
            reason="key query: timeout",
            instances=1,
            sealers=("list.example",),
            is_temporary=True,
        )
    ),
    "dmarc": st.builds(
        lambda domain, policy: DmarcFinding("temperror", domain, policy=policy),
        _DOMAINS,
        st.sampled_from(["none", "quarantine", "reject"]),
    ),
    "own_authors": _KNOWN["own_authors"],
    "list_id": _KNOWN["list_id"],
    "reputation": st.just(
        ReputationFinding(
            client=standing("client:x", NOTHING, NOW, DAY_US),
            network=standing("network:x", NOTHING, NOW, DAY_US),
            problem="no store",
        )
    ),
    "dnsbl": st.just(DnsblFinding((Listing("a.test", "unknown"), Listing("b.test", "unknown")), 2)),
    "s25r": st.just(S25rFinding(None)),
    "content": st.just(ContentFinding(problem="it could not be read")),
    "rspamd": st.just(RspamdFinding(problem="timeout")),
    "clamav": st.just(ClamavFinding(problem="timeout")),
    "sender": st.builds(SenderFinding, _DOMAINS, st.just("unknown")),
    "greylist": st.just(GreylistFinding(problem="no store")),
    "early": st.none(),
    "authorship": st.builds(
        AuthorshipFinding,
        author=st.just("x@bank.example"),
        own_shown=st.sampled_from([(), ("ours.example",)]),
        shown=st.just((DmarcFinding("temperror", "bank.example"),)),
    ),
    "impersonated": st.just(ImpersonationFinding("boss@ours.example", "x@evil.example", "name")),
    "helo": st.builds(HeloFinding, _DOMAINS, st.sampled_from(["own-name", "own-domain"]), st.none()),
    "rate": st.none(),
    "roles": _KNOWN["roles"],
    "reverse_domain": _KNOWN["reverse_domain"],
    "leads_away": _KNOWN["leads_away"],
}


def _evidence(of: dict[str, st.SearchStrategy[object]]) -> st.SearchStrategy[Evidence]:
    """Each field asked or not."""
    always = ("own_authors", "list_id", "roles", "reverse_domain", "leads_away")
    named = {name: strategy if name in always else st.none() | strategy for name, strategy in of.items()}
    return st.fixed_dictionaries(named).map(lambda found: Evidence(**found))  # type: ignore[arg-type]


def test_every_field_of_the_evidence_is_tried() -> None:
    assert {field.name for field in fields(Evidence)} == _KNOWN.keys() == _UNKNOWN.keys()


@given(_evidence(_UNKNOWN), _RULES, st.permutations(EVERY))
def test_what_could_not_be_known_never_rejects(
    evidence: Evidence, rules: DoorRules, order: list[Rule]
) -> None:
    verdict = judge(evidence, rules, tuple(order))
    assert verdict.action not in ("refuse", "disconnect")
    assert verdict.reply is None or 400 <= verdict.reply.code < 500


@given(_evidence(_KNOWN), _evidence(_UNKNOWN), _RULES)
def test_a_dead_dns_turns_nobody_away(evidence: Evidence, unknown: Evidence, rules: DoorRules) -> None:
    """What is known without the DNS may be as bad as it likes, short of what is bad by itself: a virus, a
    program."""
    local = replace(
        unknown,
        reputation=evidence.reputation,
        greylist=evidence.greylist,
        list_id=evidence.list_id,
        own_authors=evidence.own_authors,
    )
    verdict = judge(local, rules)
    assert verdict.action in ("accept", "junk", "defer") and (
        verdict.reply is None or verdict.reply.code < 500
    )


@given(_evidence(_KNOWN), _RULES, st.sampled_from([rule for rule in EVERY if rule.name in ONLY_TEMPORARY]))
def test_a_rule_that_only_delays_never_rejects(evidence: Evidence, rules: DoorRules, rule: Rule) -> None:
    reply = judge(
        evidence, replace(rules, experience=replace(rules.experience, bad_action="defer")), (rule,)
    ).reply
    assert reply is None or 400 <= reply.code < 500


@given(_evidence(_KNOWN), _RULES, st.permutations(EVERY))
def test_verdicts_and_replies_fit(evidence: Evidence, rules: DoorRules, order: list[Rule]) -> None:
    verdict = judge(evidence, rules, tuple(order))
    code = verdict.reply.code if verdict.reply is not None else 0
    fitting = {
        "accept": code == 0,
        "junk": code == 0,
        "defer": 400 <= code < 500,
        "refuse": 500 <= code < 600,
        "disconnect": code == 421,
    }
    assert fitting[verdict.action] and (verdict.action == "accept" or verdict.rule)
    observing = DoorRules(modes=dict.fromkeys((rule.name for rule in EVERY), "observe"))
    assert judge(evidence, observing, tuple(order)).reply is None


@given(_evidence(_KNOWN), _RULES, st.permutations(RULES))
def test_no_order_turns_away_who_is_authenticated_and_trusted(
    evidence: Evidence, rules: DoorRules, order: list[Rule]
) -> None:
    """One of ours who writes from elsewhere, signed: neither blocklists, nor S25R, nor greylisting, nor a
    spoilt network count."""
    trusted = standing("pair:x 1", _history("written"), NOW, 30 * DAY_US)
    known = ReputationFinding(
        client=standing("client:x", _history(*["refused"] * 9), NOW, 30 * DAY_US),
        network=standing("network:x", _history(*["junk"] * 9), NOW, 30 * DAY_US),
        organization="ours.example",
        author="me@ours.example",
        pairs={1: trusted},
    )
    signed = replace(
        evidence,
        dkim=(DkimEvidence("pass", "", "ours.example"),),
        dmarc=DmarcFinding("pass", "ours.example", "ours.example", policy="reject"),
        own_authors=("ours.example",),
        reputation=known,
        clamav=None,
        content=None,
        rspamd=None,
        sender=None,
        leads_away=False,  # what goes on is about the reverse path, of which nothing is said here
        authorship=AuthorshipFinding(author="me@ours.example", own_shown=("ours.example",)),
    )
    verdict = judge(signed, rules, tuple(order))
    assert verdict.action == "accept" and verdict.reply is None


def test_submission_never_asks_the_door() -> None:
    """Whoever logs in is judged by no rule of this kind, since nothing there can call one."""
    services = Path(__file__).parents[4] / "src/sekisho/services"
    sources = [*(services / "submission").glob("*.py"), *(services / "smtp").glob("*.py")]
    assert len(sources) > 5
    for source in sources:
        imported = {
            node.module or ""
            for node in ast.walk(ast.parse(source.read_text("utf-8")))
            if isinstance(node, ast.ImportFrom)
        }
        assert not {name for name in imported if name.startswith("sekisho.core.policy.door")}, source
        assert not {name for name in imported if name.startswith("sekisho.services.reception")}, source
