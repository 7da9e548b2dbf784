"""DMARC aggregate reports out of hostile XML (RFC 9990, RFC 7489), read in pieces.

The parser is the standard library's expat with handlers that refuse any document type: so there are no
entities to expand, and nothing is fetched (THREATS 41). Depth, octets of a text and number of records are
bounded here, octets in all by `unpacking`.
"""

from collections.abc import Callable
from ipaddress import ip_address
from typing import NoReturn
from xml.parsers import expat

from sekisho.core.reports.aggregate import (
    DISPOSITIONS,
    AggregateReport,
    AggregateRow,
    DkimSaid,
    PublishedPolicy,
)
from sekisho.core.reports.refusal import ReportRefused, tame

MAX_DEPTH = 32
MAX_TEXT_OCTETS = 16_384  # of one element
MAX_RECORDS = 20_000
MAX_SIGNATURES = 100  # RFC 9990 §3.1.1.12: as many are reported
MAX_REASONS = 20
MAX_COUNT = 10**12
MAX_SECONDS = 10**11

_NAMESPACES = frozenset(("", "urn:ietf:params:xml:ns:dmarc-2.0", "http://dmarc.org/dmarc-xml/0.1"))
# A named leniency: some put the opening tag of a schema on top of their report, and never close it.
_SCHEMA = "http://www.w3.org/2001/XMLSchema schema"
_RECORD = "feedback/record"
_LISTS = {
    "feedback/record/row/policy_evaluated/reason": "reason",
    "feedback/record/auth_results/dkim": "dkim",
    "feedback/record/auth_results/spf": "spf",
}
_RESULTS = ("pass", "fail")
_ENDS_EARLY = expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS]


class AggregateReader:
    """`feed` the octets of the XML, then `finish`. Both raise ReportRefused."""

    def __init__(self) -> None:
        parser = self._parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.EntityDeclHandler = self._refuse_doctype
        parser.ExternalEntityRefHandler = self._refuse_doctype
        self._path: list[str] = []  # of each open element, from the root
        self._depth = self._foreign = 0
        self._is_wrapped = self._is_over = False
        self._text: list[str] = []
        self._text_octets = 0
        self._fields: dict[str, str] = {}
        self._errors: list[str] = []
        self._record: dict[str, str] = {}
        self._items: list[tuple[str, dict[str, str]]] = []
        self._rows: list[AggregateRow] = []
        self._records = self._skipped = 0
        self._policies = 0

    def feed(self, octets: bytes) -> None:
        self._parse(octets, is_final=False)

    def finish(self) -> AggregateReport:
        self._parse(b"", is_final=True)
        return self._report()

    def _parse(self, octets: bytes, *, is_final: bool) -> None:
        try:
            self._parser.Parse(octets, is_final)
        except expat.ExpatError as error:
            if is_final and self._is_wrapped and self._is_over and error.code == _ENDS_EARLY:
                return
            raise ReportRefused(
                f"it is not well-formed XML: {expat.ErrorString(error.code)}, line {error.lineno}"
            ) from None
        except (
            LookupError,
            ValueError,
        ) as error:  # an encoding that there is not; ReportRefused is a ValueError
            raise (
                error if isinstance(error, ReportRefused) else ReportRefused(tame(f"it is no XML: {error}"))
            ) from None

    # --- expat's handlers

    def _refuse_doctype(self, *_: object) -> NoReturn:
        raise ReportRefused("it declares a document type or entities, which no report needs")

    def _start(self, tag: str, _: object) -> None:
        if not self._depth and not self._is_wrapped and tag == _SCHEMA:
            self._is_wrapped = True
            return
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ReportRefused(f"its elements are nested deeper than {MAX_DEPTH}")
        namespace, _space, name = tag.rpartition(" ")
        if self._foreign or namespace not in _NAMESPACES or len(name) > 64:
            if self._depth == 1:
                raise ReportRefused("it is not a DMARC report: the namespace is another's")
            self._foreign += 1
            return
        if self._depth == 1 and (name != "feedback" or self._is_over):
            raise ReportRefused("it is not a DMARC report: it does not begin with <feedback>")
        path = f"{self._path[-1]}/{name}" if self._path else name
        self._path.append(path)
        self._text.clear()
        self._text_octets = 0
        if path == _RECORD:
            self._records += 1
            if self._records > MAX_RECORDS:
                raise ReportRefused(f"it has more than {MAX_RECORDS} records")
            self._record, self._items = {}, []
        elif path in _LISTS:
            if len(self._items) < 2 * MAX_SIGNATURES + MAX_REASONS:
                self._items.append((_LISTS[path], {}))
        elif path == "feedback/policy_published":
            self._policies += 1

    def _characters(self, text: str) -> None:
        if self._foreign:
            return
        self._text_octets += len(text)
        if self._text_octets > MAX_TEXT_OCTETS:
            raise ReportRefused("the text of an element is too long")
        self._text.append(text)

    def _end(self, _: str) -> None:
        if not self._depth:
            return  # of the schema's tag
        self._depth -= 1
        self._is_over = not self._depth
        if self._foreign:
            self._foreign -= 1
            return
        path, text = self._path.pop(), "".join(self._text).strip()
        self._text.clear()
        self._text_octets = 0
        above, _slash, name = path.rpartition("/")
        if path == _RECORD:
            self._end_record()
        elif above in _LISTS:
            if self._items:
                self._items[-1][1].setdefault(name, text)
        elif path.startswith(_RECORD):
            self._record.setdefault(path[len(_RECORD) + 1 :], text)
        elif path == "feedback/report_metadata/error":
            self._errors += [tame(text)] if text and len(self._errors) < MAX_REASONS else []
        elif len(self._fields) < 64:
            self._fields.setdefault(path[len("feedback/") :], text)

    # --- what it says

    def _end_record(self) -> None:
        row = _row_of(self._record, self._items)
        if row is None:
            self._skipped += 1
        else:
            self._rows.append(row)

    def _report(self) -> AggregateReport:
        fields = self._fields
        if not self._policies:
            raise ReportRefused("it does not say which policy was published")
        domain = tame(fields.get("policy_published/domain", "")).lower().rstrip(".")
        report_id = tame(fields.get("report_metadata/report_id", ""))
        organization = tame(fields.get("report_metadata/org_name", ""))
        if not domain or not report_id or not (organization or fields.get("report_metadata/email")):
            raise ReportRefused(
                "it lacks what each report must have: the domain, its own id, or whose report it is"
            )
        if not self._rows:
            raise ReportRefused(
                "none of its records can be understood" if self._skipped else "it has no records"
            )
        contact = tame(fields.get("report_metadata/email", ""))
        return AggregateReport(
            organization=organization or contact,
            contact=contact,
            report_id=report_id,
            begins_s=_seconds(fields.get("report_metadata/date_range/begin", "")),
            ends_s=_seconds(fields.get("report_metadata/date_range/end", "")),
            policy=_policy_of(domain, lambda name: tame(fields.get(f"policy_published/{name}", ""), 40)),
            rows=tuple(self._rows),
            skipped=self._skipped,
            generator=tame(fields.get("report_metadata/generator", "")),
            errors=tuple(self._errors),
        )


def _policy_of(domain: str, said: Callable[[str], str]) -> PublishedPolicy:
    return PublishedPolicy(
        domain=domain,
        p=said("p"),
        sp=said("sp"),
        np=said("np"),
        adkim=said("adkim"),
        aspf=said("aspf"),
        fo=said("fo"),
        testing=said("testing"),
        discovery_method=said("discovery_method"),
    )


def _row_of(record: dict[str, str], items: list[tuple[str, dict[str, str]]]) -> AggregateRow | None:
    """None: it says something that the schema does not know, so that nobody can tell what it means."""
    try:
        source_ip = str(ip_address(record.get("row/source_ip", "")))
        count = int(record.get("row/count", ""))
    except ValueError:
        return None
    evaluated = {
        name: record.get(f"row/policy_evaluated/{name}", "") for name in ("disposition", "dkim", "spf")
    }
    is_known = (
        evaluated["disposition"] in DISPOSITIONS
        and evaluated["dkim"] in _RESULTS
        and evaluated["spf"] in _RESULTS
    )
    if not is_known or not 0 <= count <= MAX_COUNT:
        return None
    spf: dict[str, str] = next((said for kind, said in items if kind == "spf"), {})
    return AggregateRow(
        source_ip=source_ip,
        count=count,
        **evaluated,
        header_from=tame(record.get("identifiers/header_from", "")).lower(),
        envelope_from=tame(record.get("identifiers/envelope_from", "")).lower(),
        envelope_to=tame(record.get("identifiers/envelope_to", "")).lower(),
        reasons=tuple(_reason(said) for kind, said in items if kind == "reason" and said.get("type"))[
            :MAX_REASONS
        ],
        signatures=tuple(
            DkimSaid(
                tame(said.get("domain", "")).lower(),
                tame(said.get("selector", "")),
                tame(said.get("result", ""), 20).lower(),
            )
            for kind, said in items
            if kind == "dkim"
        )[:MAX_SIGNATURES],
        spf_domain=tame(spf.get("domain", "")).lower(),
        spf_result=tame(spf.get("result", ""), 20).lower(),
    )


def _reason(said: dict[str, str]) -> str:
    comment = tame(said.get("comment", ""))
    return tame(said.get("type", ""), 40) + (f": {comment}" if comment else "")


def _seconds(text: str) -> int:
    """0 for what is no instant."""
    return (
        int(text) if text.isascii() and text.isdecimal() and len(text) < 12 and int(text) < MAX_SECONDS else 0
    )
