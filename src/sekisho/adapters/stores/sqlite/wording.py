"""What SQLite minds, for an operator: its own words name neither what to do nor, often, what happened."""

import apsw


def sentence(text: str) -> str:
    """Marks a text that people read, so that it gets its Japanese wording."""
    return text


DatabaseError = apsw.Error
_SENTENCES: tuple[tuple[type[apsw.Error], str], ...] = (
    (
        apsw.CantOpenError,
        sentence("a database cannot be opened: is it a file that the user of the server may read and write?"),
    ),
    (
        apsw.PermissionsError,
        sentence("a database cannot be opened: is it a file that the user of the server may read and write?"),
    ),
    (
        apsw.ReadOnlyError,
        sentence("a database cannot be written: run this as root or as the user of the server"),
    ),
    (apsw.NotADBError, sentence("a database is damaged: it is none; restore a backup")),
    (apsw.CorruptError, sentence("a database is damaged: restore a backup")),
    (apsw.FullError, sentence("the disk is full")),
    (apsw.IOError, sentence("the disk cannot be read or written")),
    (apsw.BusyError, sentence("a database is in use by another program")),
    (apsw.LockedError, sentence("a database is in use by another program")),
)


def reason_of(error: BaseException) -> str:
    """A sentence without its full stop; SQLite's own words for what is rare."""
    return next(
        (text for kind, text in _SENTENCES if isinstance(error, kind)), f"{type(error).__name__}: {error}"
    )
