"""Asking the DNS for one command, without a server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sekisho.adapters.dns.resolver import StubResolver
from sekisho.adapters.dns.servers import BadServer
from sekisho.config.schema import ResolverSettings
from sekisho.core.terms.dns import Resolver
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.wiring.clocks import server_clock

T = TypeVar("T")


def look_up(settings: ResolverSettings, work: Callable[[Resolver], Awaitable[T]]) -> T:
    """What `work` finds out; raises CommandFailed for a setting that is no address."""

    async def run() -> T:
        resolver = StubResolver(settings, server_clock())
        try:
            return await work(resolver)
        finally:
            await resolver.close()

    try:
        return asyncio.run(run())
    except BadServer as error:
        raise CommandError("{problem}", exits.USAGE, problem=str(error)) from error
