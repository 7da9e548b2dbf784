"""Entry point: the command line over the composition root, whose parts in `wiring` are imported only where
used."""

import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sekisho.adapters.net.opensslconf import reexec_with_openssl_conf
from sekisho.faces.cli.handle import OperatorLink, Progress, TryReady
from sekisho.faces.cli.main import run

if TYPE_CHECKING:  # `sekisho --help` and the sendmail shim do without the schema
    from sekisho.config.schema import Config, ResolverSettings
    from sekisho.core.terms.dns import Resolver
    from sekisho.ports.lab import Rehearsal, SceneInfo, SceneResult, Watcher

T = TypeVar("T")


class App:
    """`faces.cli.handle.AppHandle`."""

    def serve(self, config_file: Path) -> int:
        reexec_with_openssl_conf()
        from sekisho.wiring.server import serve

        return serve(config_file)

    def try_out(self, folder: Path, base_port: int | None, announce: Callable[[TryReady], None]) -> int:
        reexec_with_openssl_conf()
        from sekisho.wiring.tryout import try_out

        return try_out(folder, base_port, announce)

    def operator(self, config: "Config") -> AbstractContextManager[OperatorLink]:
        from sekisho.wiring.operator import operator

        return operator(config)

    def lab_scenes(self, language: str) -> "list[SceneInfo]":
        from sekisho.lab.rehearse import scene_info, shipped_scenes

        return [scene_info(file, language) for file in shipped_scenes()]

    def lab(self, asked: "Rehearsal", watcher: "Watcher") -> "list[SceneResult]":
        from sekisho.wiring.lab import play

        return play(asked, watcher)

    def look_up(self, settings: "ResolverSettings", work: "Callable[[Resolver], Awaitable[T]]") -> "T":
        from sekisho.wiring.lookups import look_up

        return look_up(settings, work)

    def backup(self, config: "Config", target: Path, progress: Progress) -> dict[str, Any]:
        from sekisho.wiring.storage import backup

        return backup(config, target, progress)

    def verify(self, config: "Config", backup: Path | None, progress: Progress) -> dict[str, Any]:
        from sekisho.wiring.storage import verify

        return verify(config, backup, progress)

    def restore(self, config: "Config", backup: Path, progress: Progress) -> dict[str, Any]:
        from sekisho.wiring.storage import restore

        return restore(config, backup, progress)


def main() -> None:
    sys.exit(run(App(), sys.argv))


if __name__ == "__main__":
    main()
