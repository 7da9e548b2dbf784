"""Which salt an account's SCRAM keys are made with: the same for all of its passwords, since the client gets
one salt for its name."""

from collections.abc import Sequence
from typing import NamedTuple

from sekisho.core.sasl.scram import ScramSecret, salt_of
from sekisho.core.terms.address import Address
from sekisho.ports.credentials import PASSWORD, Credentials, StoredCredential
from sekisho.ports.directory import Directory, StoredPassword

SCRAM_KEY = "scram"  # the purpose of the server's key that salts are made with
SCRAM_ITERATIONS = 50_000  # RFC 7677 §4 asks for at least 4096; phones must repeat this at each login


class ScramTerms(NamedTuple):
    salt: bytes
    iterations: int = SCRAM_ITERATIONS


async def scram_terms(directory: Directory, credentials: Credentials, address: Address) -> ScramTerms:
    """For new keys of the account at this address, which need not be there yet.

    Those of the keys that it has; else what strangers are told who ask for that name
    (`scram.pretended_secret`): they see no difference when the account is made. Raises ValueError if the keys
    that are stored are broken.
    """
    account = await directory.account_by_address(address)
    if account is not None:
        found = usable_keys(await directory.password(account.id), await credentials.of_account(account.id))
        if found:
            return ScramTerms(found[0][0].salt, found[0][0].iterations)
    return ScramTerms(salt_of(str(address.canonical), await credentials.server_key(SCRAM_KEY)))


def usable_keys(
    password: StoredPassword | None, credentials: Sequence[StoredCredential]
) -> list[tuple[ScramSecret, str]]:
    """The keys of one account that share a salt, each with the id of its credential; raises ValueError for
    broken ones."""
    found: list[tuple[ScramSecret, str]] = []
    if password is not None and password.scram_sha256:
        found.append((ScramSecret.from_text(password.scram_sha256), PASSWORD))
    for stored in credentials:
        found += [(ScramSecret.from_text(text), stored.credential.id) for text in stored.scram_sha256.split()]
    return [
        pair
        for pair in found
        if (pair[0].salt, pair[0].iterations) == (found[0][0].salt, found[0][0].iterations)
    ]
