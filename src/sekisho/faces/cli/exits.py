"""Exit codes of the `sekisho` command. `sekisho sendmail` has those of sysexits(3) instead."""

OK = 0
FAILED = 1  # refused, or could not be done
USAGE = 2  # the command line is wrong (also click's own)
UNREACHABLE = 3  # no server answers and its data cannot be opened
NOTHING_KNOWN = 4  # `why`: the ledger has nothing about it
PROBLEMS = 5  # `check`: receivers would mind something
UNKNOWN = 6  # `check`: nothing is wrong, but the DNS did not say everything
BAD_CONFIG = 78  # EX_CONFIG: the configuration has problems; nothing was started

SYSEXITS_OK = 0
SYSEXITS_USAGE = 64
SYSEXITS_DATA = 65
SYSEXITS_NO_INPUT = 66
SYSEXITS_NO_USER = 67
SYSEXITS_UNAVAILABLE = 69
SYSEXITS_SOFTWARE = 70
SYSEXITS_TEMPORARY = 75
SYSEXITS_NO_PERMISSION = 77
SYSEXITS_CONFIG = 78
