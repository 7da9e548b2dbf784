"""Who runs the hosts that mail goes to: told by the suffix of the MX host, not by the recipient's domain.

What a provider bears is seldom published. `certain` says that a row comes from the provider's own pages or
from what senders agree on; where it is False the numbers are ours, low on purpose. To add one: a row here,
its replies in `replies_west` or `replies_japan`, and a line in `tests/core/policy/shaping/test_table.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """`suffixes` begin with a dot and match the host itself too. `connections`: at a time, to all hosts."""

    name: str
    title: str
    suffixes: tuple[str, ...]
    connections: int = 3
    messages_per_connection: int = 20
    certain: bool = True
    link: str = ""


PROVIDERS: tuple[Provider, ...] = (
    Provider(
        name="google",
        title="Google (Gmail, Workspace)",
        suffixes=(".google.com", ".googlemail.com", ".smtp.goog"),
        connections=5,
        messages_per_connection=50,
        link="https://support.google.com/a/answer/3726730",
    ),
    Provider(
        name="microsoft",
        title="Microsoft (Outlook, Hotmail, 365)",
        suffixes=(".protection.outlook.com", ".mx.microsoft", ".mail.eo.outlook.com", ".hotmail.com"),
        connections=5,
        messages_per_connection=50,
        link="https://sendersupport.olc.protection.outlook.com/pm/",
    ),
    Provider(
        name="yahoo",
        title="Yahoo, AOL",
        suffixes=(".yahoodns.net",),
        connections=5,
        messages_per_connection=20,
        link="https://senders.yahooinc.com/smtp-error-codes/",
    ),
    Provider(
        name="apple",
        title="Apple (iCloud)",
        suffixes=(".icloud.com", ".mail.me.com"),
        connections=5,
        messages_per_connection=5,
        link="https://support.apple.com/102322",
    ),
    Provider(
        name="gmx",
        title="GMX, web.de, mail.com",
        suffixes=(".gmx.net", ".web.de", ".mail.com", ".gmx.com"),
        connections=4,
        messages_per_connection=20,
        link="https://postmaster.gmx.net/en/error-messages",
    ),
    Provider(
        name="t-online",
        title="T-Online (Telekom)",
        suffixes=(".t-online.de",),
        connections=3,
        messages_per_connection=20,
        certain=False,
        link="https://postmaster.t-online.de/index.en.html",
    ),
    Provider(
        name="orange",
        title="Orange, Wanadoo",
        suffixes=(".orange.fr", ".wanadoo.fr"),
        connections=2,
        messages_per_connection=100,
        link="https://postmaster.orange.fr/",
    ),
    Provider(
        name="proton",
        title="Proton",
        suffixes=(".protonmail.ch", ".proton.ch"),
        connections=3,
        messages_per_connection=20,
        certain=False,
        link="https://proton.me/support/",
    ),
    Provider(
        name="mimecast",
        title="Mimecast",
        suffixes=(".mimecast.com", ".mimecast.co.za"),
        connections=10,
        messages_per_connection=100,
        link="https://mimecastsupport.zendesk.com/hc/en-us/articles/34000709564691",
    ),
    Provider(
        name="docomo",
        title="NTT docomo",
        suffixes=(".docomo.ne.jp", ".spmode.ne.jp"),
        connections=2,
        messages_per_connection=20,
        certain=False,
        link="https://www.docomo.ne.jp/service/docomo_mail/smtp_notice/",
    ),
    Provider(
        name="au",
        title="au (KDDI)",
        suffixes=(".ezweb.ne.jp", ".au.com", ".auone-net.jp"),
        connections=2,
        messages_per_connection=20,
        certain=False,
        link="https://www.au.com/mobile/service/attention/specification/",
    ),
    Provider(
        name="softbank",
        title="SoftBank, Y!mobile",
        suffixes=(".softbank.ne.jp", ".i.softbank.jp", ".softbank.jp", ".vodafone.ne.jp", ".ymobile.ne.jp"),
        connections=2,
        messages_per_connection=20,
        certain=False,
        link="https://www.softbank.jp/mobile/support/antispam/wrestle/",
    ),
    Provider(
        name="yahoo-japan",
        title="Yahoo! JAPAN",
        suffixes=(".yahoo.co.jp", ".ybb.ne.jp"),
        connections=2,
        messages_per_connection=20,
        certain=False,
        link="https://support.yahoo-net.jp/PccMail/",
    ),
    Provider(
        name="nifty",
        title="@nifty",
        suffixes=(".nifty.com", ".nifty.ne.jp"),
        connections=2,
        certain=False,
        link="https://www.nifty.com/mail/",
    ),
    Provider(
        name="ocn",
        title="OCN",
        suffixes=(".ocn.ad.jp", ".ocn.ne.jp"),
        connections=2,
        certain=False,
        link="https://support.ocn.ne.jp/",
    ),
    Provider(
        name="so-net",
        title="So-net",
        suffixes=(".so-net.ne.jp",),
        connections=2,
        certain=False,
        link="https://support.so-net.ne.jp/",
    ),
    Provider(
        name="iij",
        title="IIJ",
        suffixes=(".iij.ad.jp", ".securemx.jp", ".2iij.net"),
        connections=3,
        certain=False,
        link="https://www.iij.ad.jp/",
    ),
)
BY_NAME = {provider.name: provider for provider in PROVIDERS}
_BY_SUFFIX = {suffix: provider for provider in PROVIDERS for suffix in provider.suffixes}


def provider_of(host: str) -> Provider | None:
    """The one whose suffix is the longest that `host` (an MX host, perhaps "host [address]") ends with."""
    name = "." + host.partition(" ")[0].rstrip(".").lower()
    while name:
        found = _BY_SUFFIX.get(name)
        if found is not None:
            return found
        dot = name.find(".", 1)
        name = name[dot:] if dot > 0 else ""
    return None


def group_of(host: str) -> str:
    """What is slowed together: a provider, or else the one host."""
    provider = provider_of(host)
    return provider.name if provider is not None else host.partition(" ")[0].rstrip(".").lower()
