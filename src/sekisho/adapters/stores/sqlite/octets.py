"""Opening a stored message for reading."""

from sekisho.adapters.stores.sqlite.connection import Database, store_errors
from sekisho.adapters.stores.sqlite.content import PLAIN, ContentFolder, StoredOctets
from sekisho.ports.content import StoreUnavailable


def open_octets(
    reader: Database, folder: ContentFolder, sql: str, values: tuple[int | str, ...]
) -> StoredOctets | None:
    """`sql` selects prefix, codec, size, file, octets. A file that went between the row and its opening
    means: gone."""
    for _ in range(2):
        with store_errors():
            found = reader.execute(sql, values).fetchall()
        if not found:
            return None
        prefix, codec, size, file, octets = found[0]
        if codec != PLAIN:
            raise StoreUnavailable(
                f"the content is written in codec {codec}, which this version does not know"
            )
        if file is None:
            return StoredOctets(prefix, size, octets, folder.files)
        try:
            descriptor = folder.files.open(folder.place(file))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreUnavailable(str(error)) from error
        return StoredOctets(prefix, size, None, folder.files, descriptor)
    raise StoreUnavailable(f"the file {folder.place(file)} of a stored message is missing")
