"""Does somebody read the mail to postmaster and abuse?"""

from typing import Any

from msgspec import Struct

from sekisho.admin.context import Context
from sekisho.admin.domains import Nothing
from sekisho.config.owners import check_role_owners


class RoleProblem(Struct, frozen=True):
    """A config.problems.Problem on its way through the control socket."""

    path: str
    text: str
    advice: str
    values: dict[str, Any]


async def check_roles(context: Context, request: Nothing) -> list[RoleProblem]:
    problems = await check_role_owners(context.roles, context.directory)
    return [
        RoleProblem(problem.path, problem.text, problem.advice, dict(problem.values)) for problem in problems
    ]
