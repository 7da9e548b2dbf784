"""The whole language that is spoken here."""

from sekisho.core.sieve.commands.answers import ANSWERS
from sekisho.core.sieve.commands.base import BASE
from sekisho.core.sieve.commands.body import BODY
from sekisho.core.sieve.commands.dates import DATES
from sekisho.core.sieve.commands.editheader import EDITHEADER
from sekisho.core.sieve.commands.flags import FLAGS
from sekisho.core.sieve.commands.include import INCLUDE
from sekisho.core.sieve.commands.loops import LOOPS
from sekisho.core.sieve.commands.notify import NOTIFY
from sekisho.core.sieve.commands.places import PLACES
from sekisho.core.sieve.commands.variables import VARIABLES
from sekisho.core.sieve.script import Language

CAPABILITIES = frozenset(
    (
        "body",
        "copy",
        "date",
        "duplicate",
        "editheader",
        "encoded-character",
        "enotify",
        "envelope",
        "environment",
        "ereject",
        "extracttext",
        "fileinto",
        "foreverypart",
        "imap4flags",
        "include",
        "index",
        "mailbox",
        "mime",
        "reject",
        "relational",
        "special-use",
        "subaddress",
        "vacation",
        "vacation-seconds",
        "variables",
        "comparator-i;octet",
        "comparator-i;ascii-casemap",
        "comparator-i;ascii-numeric",
        "comparator-i;unicode-casemap",
    )
)
_SPECS = (*BASE, *VARIABLES, *FLAGS, *ANSWERS, *DATES, *BODY, *PLACES, *INCLUDE, *LOOPS, *NOTIFY, *EDITHEADER)

# Everything, for administrators' scripts.
WHOLE_LANGUAGE = Language({(spec.is_test, spec.name): spec for spec in _SPECS}, CAPABILITIES)
# What an account's own script may say: the header section is not for it to change (RFC 5293 §6).
LANGUAGE = WHOLE_LANGUAGE.without("editheader")
