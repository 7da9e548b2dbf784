"""postmaster and abuse need an owner who exists (DESIGN §4 Truth): a check against the Directory."""

from sekisho.config.problems import Problem
from sekisho.config.schema import RoleOwners
from sekisho.core.terms.address import Address, AddressError
from sekisho.ports.directory import Directory


async def check_role_owners(roles: RoleOwners, directory: Directory) -> list[Problem]:
    """RFC 5321 §4.5.1 and RFC 2142 want somebody to read that mail. Syntax errors are check_config's
    business."""
    problems = []
    for role, owner in (("postmaster", roles.postmaster), ("abuse", roles.abuse)):
        try:
            account = await directory.account_by_address(Address.from_text(owner))
        except AddressError:
            continue
        if account is None or account.state == "deleted":
            problems.append(
                Problem(
                    path=f"roles.{role}",
                    text="There is no account {owner}, so nobody would read the mail to {role}@.",
                    advice="Create it (sekisho account add {owner}), or name another one.",
                    values={"owner": owner, "role": role},
                )
            )
    return problems
