"""When a use is written down."""

from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.content import StoreUnavailable
from sekisho.services.authentication.uses import CredentialUses
from sekisho.testing.clock import ManualClock

ALICE = Identity(account_id=1, address=Address("alice", "example.test"))


class Credentials:
    def __init__(self) -> None:
        self.noted: list[tuple[int, str, int, str]] = []
        self.broken = False

    async def note_use(self, account_id: int, credential_id: str, at_us: int, network: str) -> None:
        if self.broken:
            raise StoreUnavailable
        self.noted.append((account_id, credential_id, at_us, network))


async def test_once_an_hour_and_at_each_move() -> None:
    credentials, clock = Credentials(), ManualClock()
    uses = CredentialUses(credentials, clock)
    for network in ("192.0.2.0/24", "192.0.2.0/24", "198.51.100.0/24", "198.51.100.0/24"):
        await uses.note(ALICE, network)
    clock.advance(3600)
    await uses.note(ALICE, "198.51.100.0/24")
    assert [network for *_, network in credentials.noted] == [
        "192.0.2.0/24",
        "198.51.100.0/24",
        "198.51.100.0/24",
    ]


async def test_a_store_that_is_down_costs_no_login() -> None:
    credentials = Credentials()
    uses = CredentialUses(credentials, ManualClock())
    credentials.broken = True
    await uses.note(ALICE, "192.0.2.0/24")
    credentials.broken = False
    await uses.note(ALICE, "192.0.2.0/24")
    assert len(credentials.noted) == 1
