"""Reading what workers run by: at the start strictly, at a reload so that what is bad among it does not spoil
the rest."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from sekisho.adapters.net.tls import CertificateProblem, check_authorities, read_certificates
from sekisho.adapters.process.plan import ReloadRefused
from sekisho.config.load import load
from sekisho.config.problems import ConfigError
from sekisho.config.reload import in_force
from sekisho.config.schema import Config
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError
from sekisho.wiring.setup import Setup

Report = Callable[[str, Mapping[str, str | int]], None]
_NAMED_FILES = ("certificates[", "listeners[")  # what is wrong with them is found again when they are read
_WHAT_NOW = "what was read from these files before stays in use"


def read_setup(config_file: Path) -> Setup:
    """The configuration and the certificates, for a start; raises ConfigError, CommandFailed."""
    loaded = load(config_file)
    for warning in loaded.warnings:
        print(f"sekisho: {warning}", file=sys.stderr)
    try:
        certificates = read_certificates(loaded.config.certificates)
        authorities = _read_authorities(loaded.config)
    except CertificateProblem as problem:
        raise CommandError("{problem}", exits.BAD_CONFIG, problem=str(problem)) from problem
    return Setup(loaded.config.model_dump_json(), list(certificates), authorities)


class SetupReader:
    """In the supervisor. `latest` is what a replaced worker starts with: what the others were told at the
    last SIGHUP."""

    def __init__(self, config_file: Path, first: Setup, report: Report) -> None:
        self.latest = first
        self._file, self._report = config_file, report
        self._running = first.config

    def reload(self) -> bytes:
        """For the workers; raises ReloadRefused, and then everything stays. A certificate that is not fit
        leaves the one before it in use, and settings that want a restart stay as they are; both are told."""
        try:
            self.latest = self._read_again()
        except ConfigError as error:
            raise ReloadRefused(_errors(error)) from error
        except CertificateProblem as problem:
            raise ReloadRefused(str(problem)) from problem
        return msgspec.msgpack.encode(self.latest)

    def check(self) -> None:
        """Could this server start anew? Raises ReloadRefused."""
        try:
            read_setup(self._file)
        except ConfigError as error:
            raise ReloadRefused(_errors(error)) from error
        except CommandError as failed:
            raise ReloadRefused(str(failed)) from failed

    def _read_again(self) -> Setup:
        loaded = load(self._file, forgiving=_NAMED_FILES)
        config, left = in_force(self._running, loaded.config)
        certificates = read_certificates(config.certificates, self.latest.certificates, self._kept)
        authorities = _read_authorities(config, self.latest.client_authorities, self._kept)
        for warning in loaded.warnings:
            if not warning.path.startswith(_NAMED_FILES):
                self._report("config.warning", {"text": str(warning)})
        if left:
            self._report("config.restart_needed", {"settings": " ".join(left)})
        return Setup(config.model_dump_json(), list(certificates), authorities)

    def _kept(self, problem: str) -> None:
        self._report("tls.certificate_kept", {"problem": problem, "what_now": _WHAT_NOW, "alarm": True})


def _read_authorities(
    config: Config, before: Mapping[str, bytes] | None = None, kept: Callable[[str], None] | None = None
) -> dict[str, bytes]:
    """PEM by file. Raises CertificateProblem; with `before` and `kept` as `read_certificates`."""
    found: dict[str, bytes] = {}
    for number, listener in enumerate(config.listeners):
        file = listener.client_ca
        if file is None or str(file) in found:
            continue
        try:
            found[str(file)] = pem = file.read_bytes()
            check_authorities(pem)
        except (OSError, CertificateProblem) as error:
            problem = (
                f"listeners[{number}].client_ca: "
                f"{error if isinstance(error, OSError) else f'{file}: {error}'}"
            )
            if kept is None or before is None or str(file) not in before:
                raise CertificateProblem(problem) from error
            found[str(file)] = before[str(file)]
            kept(problem)
    return found


def _errors(error: ConfigError) -> str:
    return "\n".join(str(problem) for problem in error.problems if problem.is_error)
