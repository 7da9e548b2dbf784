"""[content]: what a message says and carries."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from sekisho.config.section import Octets, Seconds, Secret, Section
from sekisho.core.policy.attachments import DANGERS, AttachmentRules, Danger
from sekisho.core.policy.classifier.knowledge import JUNK_SCORE
from sekisho.core.policy.mode import Mode
from sekisho.core.policy.rules.content import ContentRules
from sekisho.ports.scanners import parse_place

_MODES: dict[str, Mode] = {"observe": "observe", "off": "off"}


def _is_place(text: str) -> str:
    if text:
        parse_place(text)
    return text


ScannerPlace = Annotated[str, AfterValidator(_is_place)]


class ContentSettings(Section):
    classifier: Literal["enforce", "observe", "off"] = Field(
        "enforce",
        description="Put what reads like sorted junk into Junk; observe: only write it down; off: only learn.",
    )
    junk_score: Annotated[float, Field(ge=0.1, le=2)] = Field(
        JUNK_SCORE,
        description="From this score of the classifier on a message is junk; 0.25 lost no ham in 20 trials, less finds more spam.",
    )
    shared_lessons: bool = Field(True, description="What one account teaches by its moves to and from Junk counts for everybody.")
    lessons: Annotated[int, Field(ge=200, le=100_000)] = Field(
        10_000, description="How many messages of ham, and of spam, the classifier remembers; 2 KB each, the newest stay."
    )
    attachments: Literal["junk", "refuse", "observe", "off"] = Field(
        "junk", description="What becomes of a message with an attachment that does something when it is opened."
    )
    flagged: tuple[Danger, ...] = Field(
        tuple(danger for danger in DANGERS if danger != "encrypted archive"), description="Which kinds of attachments that means."
    )
    allowed_endings: tuple[str, ...] = Field((), description='Endings of file names that are taken all the same: ("js", "xlsm").')
    clamav: ScannerPlace = Field("", description="clamd's socket, as a path or host:port; empty: it is not asked.")
    clamav_action: Literal["refuse", "junk", "observe", "off"] = Field(
        "refuse", description="What becomes of a message with a virus; off: clamd is not asked."
    )
    rspamd: ScannerPlace = Field("", description="rspamd's normal worker, as host:port or a path; empty: it is not asked.")
    rspamd_password: Secret = Field("", description="Its password, if it wants one.")
    rspamd_action: Literal["refuse", "junk", "observe", "off"] = Field(
        "junk",
        description=(
            'What becomes of what rspamd would reject; what it marks goes into Junk, unless this is "observe"; off: it is not asked.'
        ),
    )
    outgoing: bool = Field(True, description="Look into outgoing mail too, as advice to the guard of hijacked accounts.")
    scanner_timeout_seconds: Seconds = Field(20.0, description="For one question to a scanner; then it goes on without the answer.")
    scanner_octets: Octets = Field(26_214_400, description="Larger messages are not given to scanners.")

    @property
    def modes(self) -> dict[str, Mode]:
        """Of the rules at the door, by their names in `DoorRules`."""
        asked = {
            "viruses": self.clamav_action if self.clamav else "off",
            "attachments": self.attachments,
            "rspamd": self.rspamd_action if self.rspamd else "off",
            "words": self.classifier,
        }
        return {name: _MODES.get(action, "enforce") for name, action in asked.items()}

    def rules(self) -> ContentRules:
        return ContentRules(
            junk_score=self.junk_score,
            attachments=AttachmentRules(frozenset(self.flagged), frozenset(ending.lower().lstrip(".") for ending in self.allowed_endings)),
            refuses_attachments=self.attachments == "refuse",
            refuses_viruses=self.clamav_action != "junk",
            refuses_for_rspamd=self.rspamd_action == "refuse",
        )
