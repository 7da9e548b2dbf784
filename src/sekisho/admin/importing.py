"""Accounts of another server, with the hashes of their passwords: nobody has to set a new one."""

from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

from sekisho.admin.accounts import check_is_free, hash_for
from sekisho.admin.context import AdminRefused, Context, parse_address
from sekisho.core.terms.address import Address
from sekisho.ports.directory import Account, DirectoryError
from sekisho.services.authentication.foreign import WEAK_SCHEMES, ForeignHash, HashRefused, read_hash

_DAY_US = 86_400_000_000


class ImportAccounts(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`lines` of a passwd-file or of /etc/shadow; `first` is the number of the first. `domain` for names
    without "@".

    `also`: broken schemes that are taken all the same. `replace`: give accounts that exist the password of
    the file.
    """

    lines: list[str]
    first: int = 1
    domain: str = ""
    also: list[str] = []
    replace: bool = False
    dry_run: bool = False


class ImportedLine(Struct, frozen=True, kw_only=True):
    """What became of one line. Not taken: `text` says why, an English sentence with `{name}` places; `values`
    fills them."""

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
        raise AdminRefused(
            "{scheme} is none of the broken schemes: {schemes}.",
            scheme=unknown[0],
            schemes=", ".join(WEAK_SCHEMES),
        )
    done: list[ImportedLine] = []
    seen: set[Address] = set()
    for number, line in enumerate(request.lines, request.first):
        text = line.strip()
        if text and not text.startswith("#"):
            done.append(await _import_line(context, request, number, text, seen))
    return done


class _Entry(NamedTuple):
    """One line. `expires_at_us`: from then on nobody logs in (shadow(5)); 0: never."""

    name: str
    password: str
    display_name: str
    expires_at_us: int


def _read(line: str) -> _Entry:
    """A line of a passwd-file (name:hash:uid:gid:gecos:home:shell:extra) or of shadow(5), with five numbers
    and an end. Raises Refused."""
    name, password, *rest = (*line.split(":"), "")
    if len(rest) == 8 and all(not field or field.isdecimal() for field in rest[:6]):
        return _Entry(name, password, "", int(rest[5]) * _DAY_US if 0 < len(rest[5]) < 7 else 0)
    extra = {each.partition("=")[0] for each in ":".join(rest[5:]).split()}
    if "nologin" in extra:
        raise AdminRefused("The entry says nologin.")
    if "allow_nets" in extra:
        raise AdminRefused(
            "The entry is bound to networks (allow_nets), which an account here cannot be; give it an app "
            "password that is."
        )
    return _Entry(name, password, rest[2].partition(",")[0] if len(rest) > 2 else "", 0)


async def _import_line(
    context: Context, request: ImportAccounts, number: int, line: str, seen: set[Address]
) -> ImportedLine:
    name, scheme = line.partition(":")[0], ""
    try:
        entry = _read(line)
        address = parse_address(name if "@" in name or not request.domain else f"{name}@{request.domain}")
        name = str(address)
        if address in seen:
            raise AdminRefused("{address} stands in the file twice.", address=name)
        seen.add(address)
        found = read_hash(entry.password, frozenset(request.also))
        scheme = found.scheme
        await _take(context, request, address, found, entry)
    except (AdminRefused, HashRefused) as refused:
        return ImportedLine(
            line=number,
            name=name,
            scheme=scheme,
            text=refused.text,
            values={key: str(value) for key, value in refused.values.items()},
        )
    except DirectoryError as error:
        return ImportedLine(
            line=number, name=name, scheme=scheme, text="{sentence}", values={"sentence": str(error)}
        )
    return ImportedLine(line=number, name=name, scheme=scheme, taken=True)


async def _take(
    context: Context, request: ImportAccounts, address: Address, found: ForeignHash, entry: _Entry
) -> None:
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
        existing = await directory.add_account(address, stored, scram, entry.display_name)
        if entry.expires_at_us:
            await directory.set_expiry(existing.id, entry.expires_at_us)
    else:
        await directory.set_password(existing.id, stored, scram)
    context.audit("account.import", existing.address, scheme=found.scheme)
