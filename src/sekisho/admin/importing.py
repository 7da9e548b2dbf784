"""Accounts of another server, with the hashes of their passwords: nobody has to set a new one."""

from collections.abc import Mapping

from msgspec import Struct

from sekisho.admin.accounts import check_is_free, hash_for
from sekisho.admin.context import Context, Refused, parse_address
from sekisho.core.terms.address import Address
from sekisho.ports.directory import Account, DirectoryError
from sekisho.services.authentication.foreign import WEAK_SCHEMES, ForeignHash, HashRefused, read_hash


class ImportAccounts(Struct, frozen=True, forbid_unknown_fields=True):
    """`lines` of a passwd-file or of /etc/shadow; `first` is the number of the first. `domain` for names without "@".

    `also`: broken schemes that are taken all the same. `replace`: give accounts that exist the password of the file.
    """

    lines: list[str]
    first: int = 1
    domain: str = ""
    also: list[str] = []
    replace: bool = False
    dry_run: bool = False


class ImportedLine(Struct, frozen=True):
    """What became of one line. Not taken: `text` says why, an English sentence with `{name}` places; `values` fills them."""

    line: int
    name: str
    scheme: str = ""
    taken: bool = False
    text: str = ""
    values: Mapping[str, str] = {}


async def import_accounts(context: Context, request: ImportAccounts) -> list[ImportedLine]:
    """Each line by itself: one that is refused keeps no other from being taken."""
    unknown = sorted(set(request.also) - set(WEAK_SCHEMES))
    if unknown:
        raise Refused("{scheme} is none of the broken schemes: {schemes}.", scheme=unknown[0], schemes=", ".join(WEAK_SCHEMES))
    done: list[ImportedLine] = []
    seen: set[Address] = set()
    for number, line in enumerate(request.lines, request.first):
        text = line.strip()
        if text and not text.startswith("#"):
            done.append(await _import_line(context, request, number, text, seen))
    return done


async def _import_line(context: Context, request: ImportAccounts, number: int, line: str, seen: set[Address]) -> ImportedLine:
    name, _, rest = line.partition(":")
    scheme = ""
    try:
        address = parse_address(name if "@" in name or not request.domain else f"{name}@{request.domain}")
        name = str(address)
        if address in seen:
            raise Refused("{address} stands in the file twice.", address=name)
        seen.add(address)
        found = read_hash(rest.partition(":")[0], frozenset(request.also))
        scheme = found.scheme
        await _take(context, request, address, found)
    except (Refused, HashRefused) as refused:
        return ImportedLine(number, name, scheme, text=refused.text, values={key: str(value) for key, value in refused.values.items()})
    except DirectoryError as error:
        return ImportedLine(number, name, scheme, text="{sentence}", values={"sentence": str(error)})
    return ImportedLine(number, name, scheme, taken=True)


async def _take(context: Context, request: ImportAccounts, address: Address, found: ForeignHash) -> None:
    """Raises Refused, DirectoryError."""
    directory = context.directory
    existing: Account | None = await directory.account_by_address(address) if request.replace else None
    if existing is None:
        await check_is_free(context, address)
    stored, scram = found.stored, ""
    if found.scheme == "PLAIN":
        stored, scram = await hash_for(context, address, found.stored)
    if request.dry_run:
        return
    if existing is None:
        existing = await directory.add_account(address, stored, scram)
    else:
        await directory.set_password(existing.id, stored, scram)
    context.audit("account.import", existing.address, scheme=found.scheme)
