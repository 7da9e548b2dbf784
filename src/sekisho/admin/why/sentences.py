"""What to say about each rule, each reply and each failed login: why, and what to do about it.

The texts are English with `{name}` places for the values of `VALUES`; faces/i18n has the Japanese.
"""

from collections.abc import Mapping
from typing import NamedTuple

# Values that every sentence may use; what an entry does not name is "".
VALUES = (
    "accepted", "account", "actor", "argument", "author_domain", "because", "cap", "cause", "client",
    "client_name", "command",
    "error", "failures", "hello", "id", "kind", "later", "list_id", "listener", "message_id", "network",
    "provider", "reason", "reasons", "recipient",
    "recipients", "refused", "remote", "reply", "rule", "sender", "service", "uid", "username", "where",
)  # fmt: skip


class Wording(NamedTuple):
    """`why` goes on behind a colon; `remedy` tells the postmaster what to do, "" if nothing is to be done."""

    why: str
    remedy: str = ""


# By the name of the rule that spoke: those of core/policy, and those of reception and submission.
RULES: Mapping[str, Wording] = {
    # recipients
    "no-such-recipient": Wording(
        "there is no account and no alias of that name here.",
        "If there should be one: sekisho account add {recipient}, or sekisho alias add {recipient} "
        "ACCOUNT. Otherwise "
        "the sender has a wrong address.",
    ),
    "relay-denied": Wording(
        "that domain is not served here, and mail from other servers is accepted only for domains that are.",
        "If the domain is yours: sekisho domain add. If one of your people sent the message, they "
        "must log in on port 465 or 587.",
    ),
    "recipient-script": Wording(
        "the recipient's own script refuses it ({because}).",
        "Only the recipient can change that: sekisho sieve get {recipients}.",
    ),
    "mailbox-full": Wording(
        "the mailbox is full.",
        "Ask the owner to delete mail, or raise the limit: sekisho account quota. The sender tries again "
        "by itself.",
    ),
    "address-literal": Wording(
        "mail to IP addresses is not sent.", "Write the address with the domain of the recipient."
    ),
    "not-qualified": Wording(
        "the domain of the recipient has no dot.", "Write the whole domain, such as example.org."
    ),
    # senders
    "not-your-address": Wording(
        "{account} may not send under that address.",
        "Send as {account}, or make the address an alias of it: sekisho alias add ADDRESS {account}.",
    ),
    "sending-held": Wording(
        "an operator holds all mail of {account}.",
        "If the mail is legitimate: sekisho account state {account} active, then sekisho guard "
        "release {account}. If not: sekisho guard purge {account}.",
    ),
    "malformed-author": Wording(
        "From or Sender is not a list of addresses.", "The program that wrote the message must be corrected."
    ),
    "takeover": Wording(
        "the account's mail does not fit the account: {because}.",
        "Ask the owner. If it was not them: sekisho account passwd {account}, then check what else was sent.",
    ),
    # the door, before there is a message
    "early-talker": Wording(
        "the client sent commands before the greeting, as programs do that send without reading replies.",
        "A legitimate client must wait for the greeting. To let it in all the same, add its network "
        'to door.unchecked_networks, or set door.early_talkers to "observe".',
    ),
    "helo-forged": Wording(
        "the client said EHLO with a name of this server: {because}.",
        "If it is a machine of yours, let it say EHLO with a name of its own that leads to its "
        "address in the DNS, or add its network to door.unchecked_networks.",
    ),
    "connection-rate": Wording(
        "too many connections came from the client's network: {because}.",
        "The client tries again by itself. For a legitimate sender, raise door.rates.connections, or "
        "add its network to door.unchecked_networks.",
    ),
    "message-rate": Wording(
        "too many messages came from the client's network in a short time: {because}.",
        "The client tries again by itself. For a legitimate sender, raise door.rates.messages, or "
        "add its network to door.unchecked_networks.",
    ),
    "recipient-rate": Wording(
        "the client's network named too many recipients in a short time: {because}.",
        "The client tries again by itself. For a legitimate sender, raise door.rates.recipients, or "
        "add its network to door.unchecked_networks.",
    ),
    "error-flood": Wording(
        "too many errors came from the client's network in a short time: {because}.",
        "The client tries again by itself. A legitimate sender must correct its program. The limit "
        "is door.rates.errors.",
    ),
    "address-harvest": Wording(
        "the client's network tried too many recipients that do not exist: {because}.",
        "The client tries again by itself. A legitimate sender must remove old addresses from its "
        "list. The limit is door.rates.refused.",
    ),
    # the door
    "own-domain": Wording(
        "its author is in {author_domain}, a domain served here, and neither SPF nor DKIM authenticates it.",
        "If the sender is one of your people or machines, let it log in on port 465 or 587, sign "
        "with DKIM, or add it to your SPF record.",
    ),
    "unreadable-from": Wording(
        "its From does not name a readable author: {because}.",
        "The program that wrote it must write one From field, as Name <local@domain>. To accept such "
        'mail, set door.unreadable_from to "junk", or add the client to door.unchecked_networks.',
    ),
    "shown-author": Wording(
        "its From shows an address that is not authenticated beside the author's: {because}.",
        "If the recipient wants it, they move it out of Junk. A list should sign for itself and name "
        "itself in List-Id.",
    ),
    "dmarc-reject": Wording(
        "DMARC fails: neither SPF nor DKIM authenticates {author_domain}, which asks that such mail "
        "be rejected.",
        "The sender must use servers that its SPF record names, or sign with DKIM. If the message "
        "came through a forwarder of yours, add that to door.unchecked_networks.",
    ),
    "dmarc-quarantine": Wording(
        "DMARC fails: neither SPF nor DKIM authenticates {author_domain}, which asks that such mail "
        "be quarantined.",
        "If the recipient wants it, they move it out of Junk. The sender must correct its SPF or DKIM.",
    ),
    "dmarc-list": Wording(
        "DMARC fails for {author_domain}, which asks for rejection, but the mailing list {list_id} signs "
        "for it.",
        "If the recipient wants it, they move it out of Junk. The list should put its own address into From.",
    ),
    "dmarc-unknown": Wording(
        "DMARC fails for {author_domain}, but one of the checks could not be finished.",
        "If the recipient wants it, they move it out of Junk. If this happens often, check your DNS "
        "resolver.",
    ),
    "forged-forward": Wording(
        "it fails SPF, and was only to be forwarded to an address elsewhere: {because}.",
        "The sender must use servers that its SPF record names, or sign with DKIM. The setting is "
        "door.forwarding.",
    ),
    "impersonated-name": Wording(
        "it shows a name or address of one of your people, but is from somebody else: {because}.",
        "If it is really them with another address, the recipient moves it out of Junk or writes to "
        "that address; both make the address known.",
    ),
    "arc-trusted": Wording(
        "it was changed on the way, but a trusted ARC sealer saw it pass before: {because}.",
        "Nothing. The trusted sealers are listed in door.trusted_sealers.",
    ),
    "dnsbl-listed": Wording(
        "several blocklists list where it came from: {because}.",
        "The sender must have the host removed from those lists. If you trust the host, add it to "
        'door.unchecked_networks. With door.dnsbl = "observe", listings are only recorded.',
    ),
    "unknown-sender-domain": Wording(
        "there is no domain for replies to it: {because}.",
        "The sender must use a domain that exists. If the domain does exist, check your DNS "
        "resolver. The setting is door.sender_domain.",
    ),
    "greylist": Wording(
        "the sender is unknown here, and nothing authenticates it or its host: {because}.",
        "Nothing: a mail server tries again by itself, and is known once it has. To let it in at "
        "once: sekisho release {id}. Its operator should set up a verified reverse name, and SPF or "
        "DKIM.",
    ),
    "bad-reputation": Wording(
        "the sender has a bad reputation here: {because}.",
        "If it is wanted, the recipient moves it out of Junk; that counts, and the sender is trusted by "
        "them from then on.",
    ),
    "virus": Wording(
        "a virus was found in it: {because}.",
        'If it is none, report it to the makers of the signature; content.clamav_action = "junk" puts '
        "such mail into Junk instead.",
    ),
    "dangerous-attachment": Wording(
        "it has an attachment that acts when it is opened: {because}.",
        "If the recipient expects it, they can open it with care from Junk. Add the endings of file "
        "names that you need to content.allowed_endings.",
    ),
    "rspamd": Wording(
        "rspamd judges it to be spam: {because}.",
        "If it is wanted, the recipient moves it out of Junk. rspamd does not learn from that; teach "
        "it separately.",
    ),
    "content-junk": Wording(
        "the classifier judges it to be junk: {because}.",
        "If it is wanted, the recipient moves it out of Junk, and the classifier learns. sekisho "
        "classifier explain tells more.",
    ),
    "trusted-sender": Wording(
        "the recipients trust the sender: {because}.",
        "Nothing. Whoever wants it no longer moves the sender's mail into Junk.",
    ),
    "dmarc-temperror": Wording(
        "the DNS did not say whether DMARC passes for {author_domain}.",
        "The sender tries again by itself. If this happens often, check your DNS resolver.",
    ),
}

# Where a rule has causes that want other words: by what stands first in `because`.
_CAUSES: Mapping[tuple[str, str], Wording] = {
    ("dangerous-attachment", "broken structure"): Wording(
        "its structure is ambiguous, so a mail program may open a part that was not checked: {because}.",
        'The program that wrote it must be corrected. To accept such mail, remove "broken structure" '
        "from content.flagged.",
    ),
}


# What kept a message from leaving, by `core.terms.reply.Cause`.
OBSTACLES: Mapping[str, Wording] = {
    "answered": Wording("{remote} answered: {reply}"),
    "no-connection": Wording("no connection could be made ({reply})."),
    "silent": Wording("the other server did not answer in time ({reply})."),
    "broken": Wording("the connection was lost before an answer came ({reply})."),
    "tls": Wording("no TLS connection could be made ({reply})."),
    "dns": Wording("the DNS does not say where its mail goes ({reply})."),
    "dane": Wording("its host must prove itself by DANE, and did not ({reply})."),
    "mta-sts": Wording("its MTA-STS policy asks for a host with a valid certificate ({reply})."),
    "requiretls": Wording(
        "it may travel over proved connections only (REQUIRETLS), and there is none ({reply}).",
        "The sender got a notice. It can be sent again without REQUIRETLS, or another way.",
    ),
    "known-tls": Wording(
        "its host always encrypted lately, and now does not ({reply}).",
        "The sender got a notice. Sent again with the field TLS-Required: No, it goes all the same; "
        "relay.tls.known_hosts says what is expected of such hosts.",
    ),
    "nowhere": Wording("the DNS names no server for it ({reply})."),
    "pace": Wording(
        "this server itself sends slowly there, so that the provider goes on taking its mail ({reply}).",
        "Nothing: it goes by itself. How fast mail goes where: sekisho providers.",
    ),
    "": Wording("the last attempt ended with: {reply}"),
}
# A password that was tried, refused and tried again.
AGAIN = ", again"
_GENERAL = Wording("{reply}")

# By the status in the reply (RFC 3463), where no rule spoke: limits, the disk, malformed content.
STATUSES: Mapping[str, Wording] = {
    "4.2.2": RULES["mailbox-full"],
    "4.3.0": Wording(
        "this server made an error; the sender tries again.",
        "Please report it: the log has the traceback, under the id in the reply.",
    ),
    "4.3.1": Wording(
        "there is not enough room on the disk, or the store does not answer.",
        "Make room on the disk of data_dir; limits.free_disk_octets must stay free.",
    ),
    "4.3.2": Wording(
        "this server was being stopped at that moment.", "Nothing: the sender tries again by itself."
    ),
    "4.4.2": Wording("the client was silent for too long."),
    "4.5.3": Wording(
        "the transaction has too many recipients.",
        "Nothing: senders send the rest in another transaction. The limit is limits.recipients.",
    ),
    "4.7.0": Wording(
        "the client reached a limit: {reply}", "If the client is legitimate, raise the limit in [limits]."
    ),
    "5.3.4": Wording(
        "the message is larger than this server accepts.",
        "The limits are limits.message_octets and limits.header_octets; a link to the file may do instead.",
    ),
    "5.4.6": Wording("the message is in a loop.", "Look for aliases or forwardings that lead to each other."),
    "5.5.2": Wording(
        "its lines do not all end in CRLF, which can hide a second message.",
        "The program that sent it must be corrected.",
    ),
    "5.6.0": Wording("the message is malformed: {reply}", "The program that wrote it must be corrected."),
    "5.7.0": Wording(
        "the login was interrupted or could not be understood.", "Check the settings of the mail program."
    ),
    "5.7.8": Wording(
        "the user name or the password is wrong.", "Find the cause among the logins: sekisho why {client}."
    ),
}

# Why a network was banned from logging in.
BANS: Mapping[str, Wording] = {
    "guesses": Wording(
        "{failures} logins from it had failed.",
        "The ban ends by itself. To end it now: sekisho bans lift {network}.",
    ),
    "unknown-names": Wording(
        "it had tried {failures} account names that do not exist here.",
        "The ban ends by itself. To end it now: sekisho bans lift {network}.",
    ),
    "account": Wording(
        "it had tried {failures} wrong passwords for {account}; other accounts may still log in from there.",
        "The ban ends by itself. To end it now: sekisho bans lift {network}.",
    ),
    "wide": Wording(
        "{failures} logins from all over it had failed; accounts that logged in from there before still may.",
        "The ban ends by itself. To end it now: sekisho bans lift {network}.",
    ),
}

# By the cause that the journal names and the client is not told.
LOGIN_CAUSES: Mapping[str, Wording] = {
    "wrong password": Wording(
        "the password is wrong.",
        "Have them type it again, or set a new one: sekisho account passwd {username}.",
    ),
    "no such account": Wording(
        "there is no such account.",
        "The user name is the whole address. sekisho account list shows them all.",
    ),
    "not an address": Wording(
        "the user name is not an address.", "The user name is the whole address, such as taro@example.org."
    ),
    "no password": Wording("the account has no password.", "Set one: sekisho account passwd {username}."),
    "account login_disabled": Wording(
        "logins to this account are disabled.",
        "To let them in again: sekisho account state {username} active.",
    ),
    "account deleted": Wording(
        "the account was removed.", "sekisho account undelete {username} brings it back."
    ),
    "too many failed logins": Wording(
        "too many logins had failed before, so for a while none is checked.",
        "Wait; [login] sets how long. If it is one of your people, check their devices.",
    ),
    "account at its end": Wording(
        "the account has expired.", "To let them in again: sekisho account expire {username} never."
    ),
    "password disabled": Wording(
        "the password was disabled by an operator or by the guard.",
        "A new one works at once: sekisho account passwd {username}.",
    ),
    "second factor": Wording(
        "the password is right, but the account has a second factor: mail programs need an app password.",
        "Make one for the device: sekisho account credential add {username} phone. The owner was told by "
        "mail.",
    ),
    "wrong token": Wording("the same token was refused just before.", "The first refusal says why."),
    "token expired": Wording(
        "the token has expired.",
        "The mail program must fetch a new one: have them log out of it and in again.",
    ),
    "token of an unknown issuer": Wording(
        "the token comes from an issuer that is not configured.",
        "Compare login.issuers with what the provider calls itself.",
    ),
    "token for another audience": Wording(
        "the token was made for another service than this one.",
        "Compare login.issuers.audience with the provider's settings.",
    ),
    "token signed by an unknown key": Wording(
        "the token is signed with a key that the issuer does not publish.",
        "If it goes on, somebody is forging tokens; find out where they come from.",
    ),
    "token of somebody else": Wording(
        "the token belongs to somebody other than the login name says.",
        "The login name must be the address that the provider knows.",
    ),
    "token without a name": Wording(
        "the token does not name an address that the issuer vouches for.",
        "Compare login.issuers.username_claim with the provider's tokens.",
    ),
    "former password": Wording(
        "the device still uses the previous password.",
        "Have them enter the new password there; nothing else is wrong.",
    ),
    "credential disabled": Wording(
        "the app password was disabled by an operator or by the guard.",
        "See: sekisho account credential list {username}.",
    ),
    "credential at its end": Wording(
        "the app password has expired.", "A new one: sekisho account credential add {username} phone."
    ),
    "credential not for this service": Wording(
        "the app password is not for this service.", "See: sekisho account credential list {username}."
    ),
    "credential not from this network": Wording(
        "the app password may be used from other networks only.",
        "See: sekisho account credential list {username}.",
    ),
    "certificate of somebody else": Wording(
        "the client's certificate is for other addresses.",
        "Issue one with the account's address in its subjectAltName.",
    ),
    "no address in the certificate": Wording(
        "the client's certificate contains no e-mail address.",
        "Issue one with the account's address in its subjectAltName.",
    ),
    "changed during the login": Wording(
        "the account was changed at that very moment.", "Have them try again."
    ),
    "the channel binding does not match": Wording(
        "the client saw a certificate that is not this server's.",
        "Somebody is intercepting the connection, or a proxy ends TLS: then set login.channel_binding to "
        "off.",
    ),
    "the client binds to a channel that was not offered": Wording(
        "the client uses a kind of channel binding that is not offered here.",
        "If the client supports no other, set login.channel_binding to off.",
    ),
    "somebody hid the -PLUS mechanism from the client": Wording(
        "somebody on the way hid from the client that channel binding is offered.",
        "Check what lies between: proxies, virus scanners.",
    ),
    "banned: guesses": Wording(
        "the network of {client} is banned for a while: too many logins from it failed. Accounts that "
        "logged in from "
        "there before still may.",
        "The ban ends by itself. To end it now: sekisho bans lift {client}. If it is one of your people, "
        "check their devices.",
    ),
    "banned: unknown-names": Wording(
        "the network of {client} is banned for a while: it tried account names that do not exist here.",
        "The ban ends by itself. To end it now: sekisho bans lift {client}. The user name is the whole "
        "address.",
    ),
    "banned: account": Wording(
        "the network of {client} is banned for a while from this account only: too many passwords were "
        "wrong.",
        "The ban ends by itself. To end it now: sekisho bans lift {client}. From elsewhere, and with a "
        "password that was "
        "right a moment ago, they can log in.",
    ),
    "banned: wide": Wording(
        "passwords are being guessed from many networks around {client}, and this account never logged in "
        "from there.",
        "The ban ends by itself. To end it now: sekisho bans lift {client}.",
    ),
    "banned: operator": Wording(
        "an operator banned the network of {client}.", "To let it in again: sekisho bans lift {client}."
    ),
    "password tried at many accounts": Wording(
        "the password is right, but it is being tried at many accounts from everywhere, and this account "
        "never logged in from there.",
        "Ask the owner whether it was them, and give the account another password in any case: sekisho "
        "account passwd {username}.",
    ),
    "too many password checks waiting": Wording(
        "too many passwords were being checked at that moment.",
        "Nothing: mail programs try again. Most likely somebody is guessing passwords.",
    ),
    "acting for somebody else": Wording(
        "it asked to act for another account.", "Leave the authorization identity empty."
    ),
    "store unavailable": Wording(
        "the store did not answer.", "Check the disk and the log; the client tries again."
    ),
}


def wording_of_rule(rule: str, reply: str, because: str = "") -> Wording:
    """What to say about a refusal by this rule, for what it found, or else by what the reply says."""
    found = _CAUSES.get((rule, because.partition(":")[0])) or RULES.get(rule)
    if found is not None:
        return found
    words = reply.split(" ", 2)
    return STATUSES.get(words[1], _GENERAL) if len(words) > 1 else _GENERAL


def wording_of_cause(cause: str) -> Wording:
    """Of a failed login. "wrong password, again" is a wrong password."""
    found = LOGIN_CAUSES.get(cause.removesuffix(AGAIN))
    if found is not None:
        return found
    if cause.startswith("issuer unavailable"):
        return Wording(
            "the provider of tokens could not be asked ({cause}).",
            "Check that this server can reach it. Keys that were fetched before are used for a day.",
        )
    if cause.startswith("token "):
        return Wording(
            "the token is not valid ({cause}).",
            "Compare login.issuers with the provider's settings and its tokens.",
        )
    return Wording("{cause}.")
