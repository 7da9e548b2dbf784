"""[ledger]: what is kept of what was decided."""

from typing import Annotated

from pydantic import Field

from sekisho.config.section import Octets, SettingsSection


class LedgerSettings(SettingsSection):
    enabled: bool = Field(
        True, description="Keep every decision of the server in ledger.db, where `sekisho why` finds it."
    )
    keep_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        90, description="How many days entries are kept; older ones are removed."
    )
    keep_octets: Octets = Field(
        1_073_741_824,
        description="How large the ledger may grow, at about 400 octets an entry; the oldest entries are "
        "removed first.",
    )
    subjects: bool = Field(
        False, description="Write the subjects of messages into the log and the ledger too."
    )
    why_url: str = Field(
        "",
        description="Address of a page that explains refusals, given in each refusal, such as "
        '"https://mail.example.org/why/{id}"; "{id}" stands for the refusal id.',
    )
