"""[content]: what a message says and carries."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sekisho.config.ruled import of_rule
from sekisho.config.section import Octets, Seconds, Secret, SettingsSection
from sekisho.core.policy.attachments import DANGERS, AttachmentRules, Danger
from sekisho.core.policy.classifier.knowledge import JUNK_SCORE
from sekisho.core.policy.contentrules import ContentRules
from sekisho.core.policy.door.content import ATTACHMENT, CONTENT, RSPAMD, VIRUS
from sekisho.ports.scanners import parse_place


def _is_place(text: str) -> str:
    if text:
        parse_place(text)
    return text


ScannerPlace = Annotated[str, AfterValidator(_is_place)]


class ContentSettings(SettingsSection):
    classifier: Literal["enforce", "observe", "off"] = of_rule(CONTENT)
    junk_score: Annotated[float, Field(ge=0.1, le=2)] = Field(
        JUNK_SCORE,
        description="Score of the classifier from which a message is junk. 0.25 lost no wanted mail in 20 "
        "trials; a "
        "lower value finds more spam.",
    )
    shared_lessons: bool = Field(
        True,
        description="Use what one account teaches by moving mail to and from Junk for all accounts.",
    )
    lessons: Annotated[int, Field(ge=200, le=100_000)] = Field(
        10_000,
        description="Messages that the classifier remembers, of wanted mail and of spam each, at 2 KB a "
        "message; the newest stay.",
    )
    attachments: Literal["junk", "refuse", "observe", "off"] = of_rule(ATTACHMENT)
    flagged: tuple[Danger, ...] = Field(
        tuple(danger for danger in DANGERS if danger != "encrypted archive"),
        description="Kinds of attachments that count as acting when they are opened.",
    )
    allowed_endings: tuple[str, ...] = Field(
        (),
        description="Endings of file names that are accepted although they act when opened, such "
        'as ("js", "xlsm").',
    )
    clamav: ScannerPlace = Field(
        "", description="Socket of clamd, as a path or host:port; empty: clamd is not used."
    )
    clamav_action: Literal["refuse", "junk", "observe", "off"] = of_rule(VIRUS)
    rspamd: ScannerPlace = Field(
        "", description="Normal worker of rspamd, as host:port or a path; empty: rspamd is not used."
    )
    rspamd_password: Secret = Field("", description="Password of rspamd, if it needs one.")
    rspamd_action: Literal["refuse", "junk", "observe", "off"] = of_rule(RSPAMD)
    outgoing: bool = Field(True, description="Examine outgoing mail too, as evidence for the guard.")
    scanner_timeout_seconds: Seconds = Field(
        20.0,
        description="How long to wait for a scanner; after that the message is judged without its answer.",
    )
    scanner_octets: Octets = Field(26_214_400, description="Largest message that is given to scanners.")

    def rules(self) -> ContentRules:
        return ContentRules(
            junk_score=self.junk_score,
            attachments=AttachmentRules(
                frozenset(self.flagged),
                frozenset(ending.lower().lstrip(".") for ending in self.allowed_endings),
            ),
            refuses_attachments=self.attachments == "refuse",
            refuses_viruses=self.clamav_action != "junk",
            refuses_for_rspamd=self.rspamd_action == "refuse",
        )
