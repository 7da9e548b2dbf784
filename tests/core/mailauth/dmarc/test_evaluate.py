"""What the public cases do not show: errors, bounds, the parts of the finding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.mailauth.dmarc.evaluate import evaluate_dmarc, evaluate_dmarc_now, organizational_domain
from sekisho.core.mailauth.dmarc.record import DmarcRecord, is_dmarc_record, parse_record
from sekisho.core.mailauth.synchronous import run_synchronously
from sekisho.testing.zones import ZoneResolver


def _record(text: str) -> DmarcRecord:
    assert is_dmarc_record(text.encode())
    record = parse_record(text.encode())
    assert record is not None
    return record


def test_all_tags() -> None:
    text = "v=DMARC1; p=reject; sp=quarantine; np=none; psd=n; t=y; adkim=s; aspf=s; fo=1:d"
    text += "; rua=mailto:a@x.example!10m,https://y.example/r; ruf=mailto:b@x.example"
    assert _record(text) == DmarcRecord(
        text=text,
        p="reject",
        sp="quarantine",
        np="none",
        psd="n",
        testing=True,
        adkim="s",
        aspf="s",
        rua=("mailto:a@x.example", "https://y.example/r"),
        ruf=("mailto:b@x.example",),
        fo="1:d",
    )


def test_defaults_take_the_place_of_what_is_wrong() -> None:
    record = _record(
        "v=DMARC1;p=none;psd=x;t=maybe;adkim=relaxed;aspf=;fo=9;rua=nonsense, mailto:a@x.example;; "
        "future=1; =; \x7f"
    )
    assert (record.psd, record.testing, record.adkim, record.aspf, record.fo) == ("u", False, "r", "r", "0")
    assert (record.rua, record.is_faulty) == (("mailto:a@x.example",), False)


@pytest.mark.parametrize(
    "text", ["v=DMARC1; p=none; P=reject", "v=DMARC1; p=none; rua=mailto:a@b.example; rua=mailto:c@d.example"]
)
def test_a_tag_twice_makes_the_record_invalid(text: str) -> None:
    assert parse_record(text.encode()) is None


@given(st.text(max_size=80).map(str.encode) | st.binary(max_size=80))
def test_any_octets_are_a_record_or_not(octets: bytes) -> None:
    record = parse_record(b"v=DMARC1;" + octets)
    assert record is None or record.fo == "0" or set(record.fo) <= set("01ds:")


def test_long_records_are_cut() -> None:
    assert (
        _record("v=DMARC1; p=none; rua=" + "mailto:a@b.example," * 5000).rua == ("mailto:a@b.example",) * 20
    )


ZONE = """
_dmarc.example.com       TXT "v=DMARC1; p=reject; sp=quarantine; np=none"
_dmarc.strict.example    TXT "v=DMARC1; p=reject; adkim=s; aspf=s"
_dmarc.psd.example       TXT "v=DMARC1; p=reject; sp=quarantine; psd=y"
_dmarc.own.example.com   TXT "v=DMARC1; p=none; psd=n"
mail.example.com         A   192.0.2.1
alias.example.com        CNAME gone.example.net
"""


@pytest.mark.parametrize(
    ("author", "policy", "tag", "exists"),
    [
        ("example.com", "reject", "p", None),
        ("EXAMPLE.com", "reject", "p", None),
        ("mail.example.com", "quarantine", "sp", True),
        ("nowhere.example.com", "none", "np", False),
        ("alias.example.com", "quarantine", "sp", True),  # the name exists; only where it leads does not
        ("shop.psd.example", "quarantine", "sp", None),
        ("a.b.psd.example", "quarantine", "sp", None),
        ("psd.example", "reject", "p", None),
    ],
)
def test_policy_and_where_it_comes_from(author: str, policy: str, tag: str, exists: bool | None) -> None:
    finding = evaluate_dmarc_now(ZoneResolver(ZONE), [author])
    assert (finding.result, finding.policy, finding.tag, finding.author_exists) == (
        "fail",
        policy,
        tag,
        exists,
    )


@pytest.mark.parametrize(
    ("author", "authenticated", "aligned"),
    [
        ("example.com", "mail.example.com", True),
        ("mail.example.com", "other.example.com", True),
        ("mail.example.com", "example.com", True),
        ("example.com", "example.net", False),
        ("example.com", "badexample.com", False),
        ("example.com", "com", False),
        ("example.com", "x.own.example.com", False),  # psd=n makes it an organization of its own
        ("own.example.com", "x.own.example.com", True),
        ("strict.example", "mail.strict.example", False),
        ("strict.example", "STRICT.example", True),
        ("a.shop.psd.example", "shop.psd.example", True),
        ("shop.psd.example", "mall.psd.example", False),
        ("shop.psd.example", "psd.example", False),
        ("example.com", "exa mple.com", False),
        ("example.com", "[192.0.2.1]", False),
        ("example.com", "", False),
    ],
)
async def test_alignment(author: str, authenticated: str, aligned: bool) -> None:
    by_spf = await evaluate_dmarc(ZoneResolver(ZONE), [author], spf_domain=authenticated)
    by_dkim = await evaluate_dmarc(
        ZoneResolver(ZONE), [author], dkim_domains=["unrelated.example", authenticated]
    )
    assert [by_spf.result, by_dkim.result] == ["pass" if aligned else "fail"] * 2
    assert bool(by_spf.spf_aligned) is bool(by_dkim.dkim_aligned) is aligned


def test_both_ways_are_told() -> None:
    finding = evaluate_dmarc_now(
        ZoneResolver(ZONE),
        ["example.com"],
        spf_domain="b.example.com",
        dkim_domains=["x.example", "example.com"],
    )
    assert (finding.spf_aligned, finding.dkim_aligned, finding.not_asked) == (
        "",
        ("example.com",),
        ("b.example.com",),
    )
    finding = evaluate_dmarc_now(
        ZoneResolver(ZONE),
        ["example.com"],
        spf_domain="example.com",
        dkim_domains=["x.example", "example.com"],
    )
    assert (finding.spf_aligned, finding.dkim_aligned, finding.not_asked) == (
        "example.com",
        ("example.com",),
        (),
    )


@pytest.mark.parametrize(
    "authors", [[], ["example.com", "example.net"], ["[192.0.2.1]"], ["a_b.example"], [""]]
)
def test_anything_but_one_domain_in_from_cannot_pass(authors: list[str]) -> None:
    finding = evaluate_dmarc_now(
        ZoneResolver(ZONE), authors, spf_domain="example.com", dkim_domains=["example.com"]
    )
    assert finding.result == "permerror"


def test_two_authors_of_one_domain_are_one_domain() -> None:
    finding = evaluate_dmarc_now(ZoneResolver(ZONE), ["example.com", "Example.COM"], spf_domain="example.com")
    assert finding.result == "pass"


@pytest.mark.parametrize("broken", ["_dmarc.mail.example.com", "_dmarc.example.com", "_dmarc.com"])
def test_what_dns_cannot_say_is_temperror(broken: str) -> None:
    resolver = ZoneResolver(ZONE + f"$TIMEOUT {broken}")
    finding = evaluate_dmarc_now(resolver, ["mail.example.com"], spf_domain="other.example.com")
    assert finding.result == "temperror"
    assert "timeout" in finding.problem


def test_an_identical_domain_passes_without_the_rest_of_dns() -> None:
    resolver = ZoneResolver(ZONE + "$SERVFAIL _dmarc.com")
    finding = evaluate_dmarc_now(
        resolver, ["example.com"], spf_domain="other.example.com", dkim_domains=["example.com"]
    )
    assert (finding.result, finding.problem) == ("pass", "")
    assert evaluate_dmarc_now(resolver, ["example.com"], spf_domain="other.example.com").result == "pass"
    assert evaluate_dmarc_now(resolver, ["example.com"], spf_domain="example.net.com").result == "temperror"


SILENT_PARENTS = ZONE + "$TIMEOUT _dmarc.com\n$TIMEOUT _dmarc.example"


@pytest.mark.parametrize(
    ("author", "spf", "dkim", "asked"),
    [
        ("example.com", None, ["example.com"], ["example.com"]),
        ("example.com", "example.com", [], ["example.com"]),
        ("example.com", "bounce.example.com", ["lists.com", "example.com"], ["example.com"]),
        ("example.com", "bounce.example.com", ["lists.com"], ["example.com", "bounce.example.com"]),
        ("strict.example", "mail.strict.example", ["strict.example"], ["strict.example"]),
        ("own.example.com", "x.own.example.com", ["example.com"], ["own.example.com", "x.own.example.com"]),
    ],
)
def test_a_silent_parent_zone_is_not_asked_where_it_changes_nothing(
    author: str, spf: str | None, dkim: list[str], asked: list[str]
) -> None:
    resolver = ZoneResolver(SILENT_PARENTS)
    finding = evaluate_dmarc_now(resolver, [author], spf_domain=spf, dkim_domains=dkim)
    assert (finding.result, finding.problem) == ("pass", "")
    assert resolver.questions == [(f"_dmarc.{name}", "TXT") for name in asked]


def test_a_strangers_own_zone_is_never_asked() -> None:
    """Else one that does not answer made "could not know" of a failure."""
    resolver = ZoneResolver(ZONE + "$TIMEOUT _dmarc.evil.com\n$TIMEOUT _dmarc.a.evil.com")
    finding = evaluate_dmarc_now(
        resolver, ["example.com"], spf_domain="evil.com", dkim_domains=["a.evil.com", "evil.net"]
    )
    assert (finding.result, [name for name, _ in resolver.questions]) == (
        "fail",
        ["_dmarc.example.com", "_dmarc.com"],
    )


_LABELS = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map(".".join)
_RECORDS = st.dictionaries(_LABELS, st.sampled_from(["u", "y", "n"]), max_size=6)


@given(_RECORDS, _LABELS, _LABELS)
def test_fewer_questions_give_the_same_answer_as_both_whole_walks(
    records: dict[str, str], author: str, domain: str
) -> None:
    zone = "\n".join(f'_dmarc.{name} TXT "v=DMARC1; p=reject; psd={psd}"' for name, psd in records.items())
    resolver = ZoneResolver(zone)
    one, other = (
        run_synchronously(organizational_domain(ZoneResolver(zone), name)) for name in (author, domain)
    )
    finding = evaluate_dmarc_now(resolver, [author], spf_domain=domain)
    if finding.result != "none":
        assert (finding.result == "pass") is (one == other)


@pytest.mark.parametrize(
    ("record", "policy"), [("p=reject; sp=reject; np=none", "none"), ("p=reject; sp=none; np=reject", "none")]
)
def test_unknown_existence_takes_the_milder_policy(record: str, policy: str) -> None:
    resolver = ZoneResolver(f'_dmarc.example.com TXT "v=DMARC1; {record}"\n$SERVFAIL a.example.com')
    finding = evaluate_dmarc_now(resolver, ["a.example.com"])
    assert (finding.result, finding.policy, finding.author_exists) == ("fail", policy, None)


def test_test_mode_takes_one_level_off() -> None:
    for policy, applied in [("reject", "quarantine"), ("quarantine", "none"), ("none", "none")]:
        finding = evaluate_dmarc_now(
            ZoneResolver(f'_dmarc.example.com TXT "v=DMARC1; p={policy}; t=y"'), ["example.com"]
        )
        assert (finding.requested, finding.policy) == (policy, applied)


def test_a_faulty_record_with_reports_is_none() -> None:
    zone = '_dmarc.example.com TXT "v=DMARC1; p=reject; sp=bad; rua=mailto:a@example.com"'
    finding = evaluate_dmarc_now(ZoneResolver(zone), ["example.com"])
    assert (finding.result, finding.policy, finding.tag) == ("fail", "none", "")


def test_questions_are_bounded() -> None:
    author = ".".join("abcdefghijklmnopqrst") + ".example.com"
    domains = [f"{'x.' * number}{author}" for number in range(40)]
    resolver = ZoneResolver(f'_dmarc.{author} TXT "v=DMARC1; p=reject"')
    finding = evaluate_dmarc_now(resolver, [author], spf_domain=domains[20], dkim_domains=domains[1:])
    assert finding.record is not None
    assert len(resolver.questions) <= 8 + 11 and len(set(resolver.questions)) == len(resolver.questions)
