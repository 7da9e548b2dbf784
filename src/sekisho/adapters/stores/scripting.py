"""What every store refuses to do with Sieve scripts, in the same words."""

from sekisho.ports.scripts import ScriptLimits, ScriptsRefused


def check_put(others: int, others_octets: int, octets: int, limits: ScriptLimits) -> None:
    """`others`: how many scripts the account has besides this one, and their octets. Raises
    ScriptsRefused."""
    if others >= limits.scripts:
        raise ScriptsRefused(
            "An account may have at most {limit} scripts. Remove one first.",
            "QUOTA/MAXSCRIPTS",
            limit=limits.scripts,
        )
    if others_octets + octets > limits.octets:
        raise ScriptsRefused(
            "The scripts of an account may have at most {limit} octets together. Remove one first.",
            "QUOTA",
            limit=limits.octets,
        )


def no_script(name: str) -> ScriptsRefused:
    return ScriptsRefused('There is no script "{name}".', "NONEXISTENT", name=name)


def is_taken(name: str) -> ScriptsRefused:
    return ScriptsRefused('There is already a script "{name}".', "ALREADYEXISTS", name=name)


def is_active(name: str) -> ScriptsRefused:
    return ScriptsRefused(
        'The script "{name}" is active. Make another one active first, or none.', "ACTIVE", name=name
    )


def no_account(account_id: int) -> ScriptsRefused:
    return ScriptsRefused("There is no account with the number {account}.", account=account_id)
