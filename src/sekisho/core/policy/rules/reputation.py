"""What our own experience says for and against a message. Other rules ask here whether a sender is known."""

from sekisho.core.policy.reputation import ReputationFinding, ReputationRules, Standing, is_bad, is_good


def vouching(finding: ReputationFinding, rules: ReputationRules) -> str:
    """Why the sender is known and need not wait, nor be doubted for one suspicion; "" if it is a stranger.

    Only what could not be forged speaks here: the client's own address, an authenticated organization, a pair.
    """
    for pair in finding.pairs.values():
        if pair.history.is_trusted or is_good(pair, rules):
            return str(pair)
    for standing in (finding.domain, finding.client):
        if standing is not None and is_good(standing, rules):
            return str(standing)
    return _written(finding.written_domain, rules)


def spares_waiting(finding: ReputationFinding, rules: ReputationRules) -> str:
    """Why the message need not wait, "" if nothing speaks for it. Waiting is all that is spared: so a good network, and an address
    that somebody here wrote to, are enough although nothing proves that it is its owner who writes."""
    if finding.roles:
        return "it is for postmaster or abuse"
    if finding.expecting:
        return "a recipient expects mail"
    if reason := vouching(finding, rules) or _written(finding.written, rules):
        return reason
    return str(finding.network) if is_good(finding.network, rules) else ""


def _written(standing: Standing | None, rules: ReputationRules) -> str:
    if standing is None or not standing.history.is_trusted:
        return ""
    return str(standing) if standing.now_us - standing.history.trusted_at_us <= rules.written_us else ""


def against(finding: ReputationFinding, rules: ReputationRules, account_id: int) -> Standing | None:
    """The bad history that speaks against this account's copy. A role's mail is never judged by reputation.

    An authenticated organization is judged by itself, wherever its mail comes from; others by the host that they come from. Neighbours
    in its network are not their fault: see `speaks_against`.
    """
    pair = finding.pairs.get(account_id)
    if account_id in finding.roles or (pair is not None and pair.history.is_trusted):
        return None
    if pair is not None and is_bad(pair, rules):
        return pair
    if finding.domain is not None and (is_bad(finding.domain, rules) or is_good(finding.domain, rules)):
        return finding.domain if is_bad(finding.domain, rules) else None
    return finding.client if is_bad(finding.client, rules) else None


def speaks_against(finding: ReputationFinding, rules: ReputationRules) -> str:
    """A bad history as a second opinion, beside one DNSBL for example; "" if there is none. Here the whole network speaks too."""
    if finding.roles or vouching(finding, rules):
        return ""
    for standing in (finding.domain, finding.client, finding.network):
        if standing is not None and is_bad(standing, rules):
            return str(standing)
    return ""


def trusting(finding: ReputationFinding) -> frozenset[int]:
    """Accounts whose user wrote to the author, or took mail of theirs out of Junk, and never objected since."""
    return frozenset(account_id for account_id, pair in finding.pairs.items() if pair.history.is_trusted)
