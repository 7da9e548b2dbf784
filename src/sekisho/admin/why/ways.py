"""How safe the way was on which a message left, in words."""

from collections.abc import Mapping

from sekisho.admin.why.sentences import Wording

# By policy and proof (core.tlspolicy.demand).
WAYS: Mapping[tuple[str, str], Wording] = {
    ("dane", "dane"): Wording("the connection was encrypted, and the host proved itself by DANE."),
    ("dane", "encrypted"): Wording(
        "the connection was encrypted; the host did not prove itself, since none of its TLSA records can "
        "be used."
    ),
    ("mta-sts", "pkix"): Wording(
        "the connection was encrypted, and the host has a valid certificate, as the MTA-STS policy asks."
    ),
    ("mta-sts-testing", "pkix"): Wording(
        "the connection was encrypted, and the host has a valid certificate; the MTA-STS policy only "
        "tests that."
    ),
    ("mta-sts-testing", "encrypted"): Wording(
        "the connection was encrypted, but the host did not prove itself; the MTA-STS policy only tests that."
    ),
    ("mta-sts-testing", "clear"): Wording(
        "the connection was not encrypted: the host does not offer it; the MTA-STS policy only tests that."
    ),
    ("dnssec", "pkix"): Wording(
        "the connection was encrypted; DNSSEC vouches for the name of the host, and its certificate for "
        "the host."
    ),
    ("known-host", "encrypted"): Wording("the connection was encrypted, as always lately with this host."),
    ("waived", "encrypted"): Wording(
        "the sender wants it delivered in any case (TLS-Required: No); the connection was encrypted all "
        "the same."
    ),
    ("waived", "clear"): Wording(
        "the sender wants it delivered in any case (TLS-Required: No); the connection was not encrypted."
    ),
}
