"""Which passwords are good enough to be set (NIST SP 800-63B §3.1.1.2): long enough, not the account's name,
neither guessed nor leaked."""

import re

from sekisho.core.sasl.preparation import PreparationError, prepare_password
from sekisho.core.terms.address import Address
from sekisho.ports.breached import BreachedPasswords
from sekisho.services.authentication.passwords import WeakPassword

MIN_PASSWORD_CHARACTERS = 8
# What a patient guesser of one account could try in years, at the rate that the limiter leaves to a thousand
# networks.
MIN_GUESSES = 10**8
# The estimate looks at no more: its time grows with the square of the length, and so much is strong by itself
# unless it repeats.
_ESTIMATED_CHARACTERS = 40
_MIN_NAME_CHARACTERS = 4
_MIN_LABEL_CHARACTERS = 5
_UNLIKE = re.compile(r"[\W_]+")


def check_quality(password: str, address: Address, breached: BreachedPasswords | None) -> None:
    """Raises `WeakPassword` with what to do. Takes a few ms and reads a disk: call it in a thread."""
    try:
        prepared = prepare_password(password)
    except PreparationError as error:
        raise WeakPassword(str(error)) from error
    if len(prepared) < MIN_PASSWORD_CHARACTERS:
        raise WeakPassword(
            "The password has {count} characters; it needs at least {needed}.",
            count=len(prepared),
            needed=MIN_PASSWORD_CHARACTERS,
        )
    if len(set(prepared)) < 3:
        raise WeakPassword("The password repeats one or two characters; choose a longer mixture.")
    own = _own_name(prepared, address)
    if own:
        raise WeakPassword(
            "The password contains {name}, which everybody knows from the address; choose one without it.",
            name=own,
        )
    _check_leaks(prepared, breached)
    _check_guesses(prepared, address)


def _own_name(password: str, address: Address) -> str:
    """The part of the address that the password is made of, or ""."""
    written = password.casefold()
    local = address.local_canonical.casefold()
    labels = [label for label in address.domain.split(".")[:-1] if len(label) >= _MIN_LABEL_CHARACTERS]
    for name in (local, *labels):
        bare = _UNLIKE.sub("", name)
        if (name and written == name) or (
            len(bare) >= _MIN_NAME_CHARACTERS and bare in _UNLIKE.sub("", written)
        ):
            return name
    return ""


def _check_leaks(password: str, breached: BreachedPasswords | None) -> None:
    if breached is None:
        return
    try:
        count = breached.count(password)
    except (OSError, ValueError) as error:
        raise WeakPassword(
            "The list of leaked passwords (login.breached_passwords) cannot be used: {reason}.",
            reason=str(error),
        ) from error
    if count:
        raise WeakPassword(
            "The password is in the list of leaked passwords, {count} times. Choose another one, and "
            "change it elsewhere too.",
            count=count,
        )


def _check_guesses(password: str, address: Address) -> None:
    from zxcvbn import zxcvbn  # its word lists take 20 ms and some megabytes, for a command that is rare

    known = [address.local_canonical, *address.domain.split("."), "sekisho"]
    found = zxcvbn(password[:_ESTIMATED_CHARACTERS], user_inputs=known)
    pieces = found["sequence"]
    if found["guesses"] >= MIN_GUESSES:
        return
    if len(pieces) == 1 and pieces[0].get("dictionary_name") == "passwords":
        raise WeakPassword(
            "The password is one of the most common ones, or nearly, and is guessed first. Use "
            "several unrelated words."
        )
    raise WeakPassword(
        "The password is easy to guess, within about {count} tries. Use several unrelated words.",
        count=f"{int(found['guesses']):,}",
    )
