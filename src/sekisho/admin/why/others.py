"""The stories that are not of a message: refused recipients and commands, connections, logins, operators'
actions, own bugs. Pure."""

from collections.abc import Callable, Mapping, Sequence

from sekisho.admin.why.sentences import BANS, Wording, wording_of_cause, wording_of_rule
from sekisho.admin.why.story import Story, Told, story, values_of
from sekisho.ports.journal import JournalValue
from sekisho.ports.ledger import LedgerEntry

_Values = Mapping[str, JournalValue]


def other_story(id_: str, entries: Sequence[LedgerEntry]) -> Story:
    """`entries`: of one id, or alike and without an id; the oldest first."""
    entry = max(
        entries, key=lambda entry: _RANK.get(entry.kind, 0)
    )  # the refusal tells more than the connection's end
    values = values_of((*entries, entry), id_, entry.at_us) | {"kind": entry.kind}
    told = _TELLERS.get(entry.kind, _tell_admin if entry.kind.startswith("admin.") else _tell_anything)(
        values
    )
    return story(id_, told, entries, values)


def _is_temporary(values: _Values) -> bool:
    return str(values["reply"]).startswith("4")


def _tell_recipient(values: _Values) -> Told:
    wording = wording_of_rule(str(values["rule"]), str(values["reply"]))
    if _is_temporary(values):
        return Told(
            "deferred",
            "The recipient {recipient} was deferred on {when} for {sender} (client {client})",
            wording,
        )
    return Told(
        "refused", "The recipient {recipient} was refused on {when} to {sender} (client {client})", wording
    )


def _tell_own_recipient(values: _Values) -> Told:
    wording = wording_of_rule(str(values["rule"]), str(values["reply"]))
    if _is_temporary(values):
        return Told(
            "deferred",
            "The recipient {recipient} was deferred on {when} for {account} (client {client})",
            wording,
        )
    return Told(
        "refused", "The recipient {recipient} was refused on {when} to {account} (client {client})", wording
    )


def _tell_command(values: _Values) -> Told:
    wording = wording_of_rule(str(values["rule"]), str(values["reply"]))
    if values["cause"]:  # the authenticator's entry is there too
        return Told(
            "refused",
            "A login as {username} from {client} ({service}) was refused on {when}",
            wording_of_cause(str(values["cause"])),
        )
    if values["command"] == "AUTH":
        return Told("refused", "A login of the client {client} was refused on {when}", wording)
    if _is_temporary(values):
        return Told("deferred", "{command} {argument} of the client {client} was deferred on {when}", wording)
    return Told("refused", "{command} {argument} of the client {client} was refused on {when}", wording)


def _tell_connection(values: _Values) -> Told:
    return Told(
        "noted",
        "The client {client} (EHLO {hello}) was connected until {when}",
        Wording("{accepted} messages were accepted, {refused} refused; it ended with: {reason}."),
    )


def _tell_cap(values: _Values) -> Told:
    if values["cap"] == "gave_way":
        return Told(
            "deferred",
            "A connection of the client {client} to {listener} was ended to make room on {when}",
            Wording(
                "the server had too many connections; those of unknown clients that make no progress "
                "are ended first, above all where many come from one network.",
                "A legitimate client tries again by itself. A flood shows in the metric sekisho_stress; "
                "the limit is limits.connections.",
            ),
        )
    return Told(
        "deferred",
        "A connection of the client {client} to {listener} was refused on {when}",
        Wording(
            "too many connections were open ({cap}).",
            "A legitimate client tries again by itself. The limits are limits.connections_per_ip and "
            "limits.connections.",
        ),
    )


def _tell_turned_away(values: _Values) -> Told:
    wording = wording_of_rule(str(values["rule"]), str(values["reply"]))
    if not values["reply"]:
        return Told(
            "noted", "A rule that only observes would have refused the client {client} on {when}", wording
        )
    return Told(
        "deferred", "A connection of the client {client} was refused before the greeting on {when}", wording
    )


def _tell_broken(values: _Values) -> Told:
    return Told(
        "noted",
        "A connection of the client {client} to {listener} ended on {when}, before anything was said",
        Wording("{reason}."),
    )


def _tell_login(values: _Values) -> Told:
    return Told("noted", "{username} logged in from {client} ({service}), the last time on {when}.")


def _tell_refused_login(values: _Values) -> Told:
    cause = wording_of_cause(str(values["cause"]))
    return Told(
        "refused",
        "A login as {username} from {client} ({service}) was refused, the last time on {when}",
        cause,
    )


def _tell_ban(values: _Values) -> Told:
    return Told(
        "refused",
        "The network {network} was banned from logging in, the last time on {when}",
        BANS.get(str(values["reason"])),
    )


def _tell_local(values: _Values) -> Told:
    return Told(
        "refused",
        "The system user {uid} was refused at the submission socket on {when}",
        Wording("{reply}", "Name the account that it may send as in submission.local_users."),
    )


def _tell_case(values: _Values) -> Told:
    return Told(
        "waiting",
        "The guard has held the mail of {account} since {when}",
        Wording(
            "{because}",
            "See: sekisho guard show {account}. Then: sekisho guard release {account}, or sekisho guard "
            "purge {account}.",
        ),
    )


def _tell_script(values: _Values) -> Told:
    return Told(
        "noted",
        "The Sieve script of {account} failed on {when}; the message was kept in INBOX",
        Wording(
            "{error}", "The owner was told by a letter. To try the script: sekisho sieve test FILE MESSAGE."
        ),
    )


def _tell_left_out(values: _Values) -> Told:
    return Told(
        "noted",
        "A message that the Sieve script of {account} wanted to send was not sent on {when}",
        Wording("{reason}"),
    )


def _tell_slowed(values: _Values) -> Told:
    return Told(
        "noted",
        "All mail for {provider} was slowed on {when}",
        Wording("it answered {reply}", "Nothing at once; how fast mail goes where: sekisho providers."),
    )


def _tell_recovered(values: _Values) -> Told:
    return Told("noted", "Mail for {provider} goes as fast as ever since {when}.")


def _tell_fault(values: _Values) -> Told:
    return Told(
        "deferred",
        "This server made an error on {when}, in {where}",
        Wording(
            "{error}",
            "Please report it: the log has the traceback, under {id}. Nothing was lost; the client "
            "tries again.",
        ),
    )


def _tell_admin(values: _Values) -> Told:
    return Told("noted", "An operator ({actor}) did this on {when}: {kind} {id}.")


def _tell_anything(values: _Values) -> Told:
    return Told("noted", "{kind} was recorded on {when}.")


_TELLERS: Mapping[str, Callable[[_Values], Told]] = {
    "reception.recipient_refused": _tell_recipient,
    "submission.recipient_refused": _tell_own_recipient,
    "reception.command_refused": _tell_command,
    "submission.command_refused": _tell_command,
    "submission.local_refused": _tell_local,
    "reception.turned_away": _tell_turned_away,
    "reception.connection": _tell_connection,
    "submission.connection": _tell_connection,
    "listener.refused": _tell_cap,
    "listener.ended": _tell_broken,
    "authentication.accepted": _tell_login,
    "authentication.refused": _tell_refused_login,
    "authentication.banned": _tell_ban,
    "guard.held": _tell_case,
    "guard.frozen": _tell_case,
    "sieve.failed": _tell_script,
    "sieve.left_out": _tell_left_out,
    "shaping.slowed": _tell_slowed,
    "shaping.recovered": _tell_recovered,
    "fault": _tell_fault,
}
_RANK = {kind: 2 if kind.endswith(("_refused", "turned_away")) else 1 for kind in _TELLERS}
# What one looks at only when nothing else is known.
BACKGROUND = frozenset(
    {"reception.connection", "submission.connection", "authentication.accepted", "listener.ended"}
)
