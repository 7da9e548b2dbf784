"""[[door.blocklists]]: DNS blocklists (RFC 5782) that the operator chose."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sekisho.config.section import SettingsSection
from sekisho.core.policy.dnsbl import Blocklist, CodeRange


class BlocklistSettings(SettingsSection):
    zone: str = Field(description="Zone of the list in the DNS, such as bl.example.org.")
    accepted_terms: bool = Field(
        False,
        description="Set it once you have read and accepted who may use the list, and how much. "
        "Until then the list is not asked.",
    )
    codes: dict[str, str] = Field(
        description="Answers that count and what they mean: "
        '{"127.0.0.2" = "spam source", "127.0.0.4-7" = "bots"}.'
    )
    weight: Annotated[float, Field(gt=0, le=10)] = Field(
        1.0, description="Weight of a listing; mail is refused when the sum reaches door.blocklist_weight."
    )
    kind: Literal["ip", "domain"] = Field(
        "ip", description="Whether the list holds client addresses (ip) or sender domains (domain)."
    )
    ipv4: bool = Field(True, description="Ask the list about IPv4 clients.")
    ipv6: bool = Field(False, description="Ask the list about IPv6 clients.")
    ipv6_prefix: Annotated[int, Field(ge=16, le=128)] = Field(
        128,
        description="Length of the IPv6 networks that the list holds; 64: each is listed by its "
        "first address.",
    )

    @model_validator(mode="after")
    def _codes_can_be_read(self) -> Self:
        if not self.codes:
            raise ValueError("codes: name the answers of the list that count")
        self.blocklist()
        return self

    def blocklist(self) -> Blocklist:
        codes = tuple(CodeRange.parse(text, meaning) for text, meaning in self.codes.items())
        return Blocklist(
            zone=self.zone.strip(".").lower(),
            codes=codes,
            weight=self.weight,
            kind=self.kind,
            ipv4=self.ipv4,
            ipv6=self.ipv6,
            ipv6_prefix=self.ipv6_prefix,
        )
