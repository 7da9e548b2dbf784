"""[ledger]: what is kept of what was decided."""

from typing import Annotated

from pydantic import Field

from sekisho.config.section import Octets, Section


class LedgerSettings(Section):
    enabled: bool = Field(True, description="Keep what the server decides in ledger.db, so that `sekisho why` can tell it.")
    keep_days: Annotated[int, Field(ge=1, le=3650)] = Field(90, description="How long; older entries go.")
    keep_octets: Octets = Field(1_073_741_824, description="How much, about 400 octets an entry; the oldest go first.")
    subjects: bool = Field(False, description="Write down the subjects of messages too, in the log and in the ledger.")
    why_url: str = Field(
        "", description='A page that explains refusals, told in each of them; "{id}" becomes its id: "https://mail.example.org/why/{id}".'
    )
