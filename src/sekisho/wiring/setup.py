"""What a worker runs by, as the supervisor hands it over, and how its sockets are called."""

import msgspec

from sekisho.adapters.net.tls import CertificateMaterial
from sekisho.config.schema import Config

CONTROL = "control"
METRICS = "metrics"
AUTH = "auth"  # the socket by which other servers let us judge logins
LOCAL = "local"  # the submission socket of sendmail(1)


class Setup(msgspec.Struct, frozen=True):
    """Read by the supervisor, as root, at the start and at each SIGHUP."""

    config_json: str
    certificates: list[CertificateMaterial]
    client_authorities: dict[str, bytes] = {}  # PEM, by file

    @property
    def config(self) -> Config:
        return Config.model_validate_json(self.config_json, strict=True)


def listener_names(config: Config) -> list[str]:
    """The name of each listener: as configured, else its kind, numbered when that is taken."""
    names: list[str] = []
    for listener in config.listeners:
        name = listener.name or listener.kind
        while name in names:
            name += "+"
        names.append(name)
    return names
