"""What is known about a message at the door, before anybody judges. Gathered by probes, judged by `policy.door`."""

from dataclasses import dataclass

from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.iprev.check import IprevFinding
from sekisho.core.mailauth.spf.terms import SpfEvidence


@dataclass(frozen=True, slots=True)
class Evidence:
    """One field per check; None means that it was not made."""

    iprev: IprevFinding | None = None
    spf: SpfEvidence | None = None
    dmarc: DmarcFinding | None = None
