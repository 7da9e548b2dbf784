"""How much a script may ask for (THREATS 33). Each bound has one place, and each is told when it is met."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SieveLimits:
    """Octets are of UTF-8, `work` counts commands, tests and comparisons, long ones several times."""

    script_octets: int = 1_048_576
    nesting: int = 32
    commands: int = 10_000  # and tests, in a script and what it includes
    includes: int = 32  # in all
    include_depth: int = 5  # with `nesting` it bounds how deep Python recurses; RFC 6609 §3.2 asks for 3
    string_octets: int = 65_536  # of one string in a script
    variables: int = 255
    variable_characters: int = 4_000  # RFC 5229 §3: at least 4000
    work: int = 50_000
    actions: int = 32
    redirects: int = 4
    body_octets: int = 4_194_304  # of a message are looked at
    value_characters: int = 1_048_576  # of one decoded part
    parts: int = 200
    header_edits: int = 64
    flags: int = 64
    vacation_min_seconds: int = 0
    vacation_max_seconds: int = 90 * 86_400
    duplicate_max_seconds: int = 90 * 86_400
    notify_recipients: int = 4


DEFAULT_LIMITS = SieveLimits()
MAX_FAULTS = 50
