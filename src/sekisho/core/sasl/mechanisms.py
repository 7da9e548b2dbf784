"""Which mechanisms there are, and a fresh object for each exchange."""

from collections.abc import Callable, Mapping

from sekisho.core.sasl.exchange import Mechanism
from sekisho.core.sasl.external import EXTERNAL, External
from sekisho.core.sasl.oauth import OAUTHBEARER, XOAUTH2, OauthBearer, Xoauth2
from sekisho.core.sasl.password import Login, Plain
from sekisho.core.sasl.scram import ScramSha256

# Best first, as they are advertised. CRAM-MD5, DIGEST-MD5 and NTLM will not come (THREATS 12).
SCRAM_PLUS = "SCRAM-SHA-256-PLUS"
SCRAM = "SCRAM-SHA-256"
PASSWORD_MECHANISMS = ("PLAIN", "LOGIN")
TOKEN_MECHANISMS = (OAUTHBEARER, XOAUTH2)
_PLAIN_MECHANISMS: dict[str, Callable[[], Mechanism]] = {
    "PLAIN": Plain,
    "LOGIN": Login,
    EXTERNAL: External,
    OAUTHBEARER: OauthBearer,
    XOAUTH2: Xoauth2,
}


def make_mechanism(name: str, nonce: bytes, bindings: Mapping[str, bytes]) -> Mechanism:
    """A new object (THREATS 13) for an upper-case name (RFC 4422 §3.1); raises KeyError for one that is not
    known.

    `nonce` as SCRAM wants it; `bindings`: the channel bindings that are offered, by type.
    """
    if name in (SCRAM, SCRAM_PLUS):
        return ScramSha256(nonce, bindings, plus=name == SCRAM_PLUS)
    return _PLAIN_MECHANISMS[name]()
