"""The password before this one: a device that still has it is told apart from a guesser.

A PLAIN login hands the password over, and the same wrong one is counted once (`RememberedLogins`). A SCRAM
proof is different each time: without the former keys, a telephone that tries each minute would use up the
guesses of its owner's network.
"""

from sekisho.ports.credentials import Credential, Credentials, StoredCredential
from sekisho.ports.directory import Directory

FORMER, FORMER_LABEL = "app:former", "former password"


async def keep_former(directory: Directory, credentials: Credentials, account_id: int, now_us: int) -> None:
    """Before a new one is set. What is kept opens nothing: it is off, and cannot be switched on."""
    password = await directory.password(account_id)
    if password is None or not password.scram_sha256:
        return
    if await credentials.credential(account_id, FORMER) is not None:
        await credentials.remove(account_id, FORMER)
    former = Credential(
        account_id=account_id,
        id=FORMER,
        kind="app",
        label=FORMER_LABEL,
        created_at_us=now_us,
        disabled_at_us=now_us,
    )
    await credentials.add(StoredCredential(former, b"", password.scram_sha256))
