"""What the tables of sekisho.toml are made of. Each part of the server may have its own module of tables;
`schema.Config` holds them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo


def _from_folder(path: Path, info: ValidationInfo) -> Path:
    """A relative path counts from the folder that the configuration file lies in, if validation was told of
    one."""
    folder = (info.context or {}).get("folder")
    return Path(folder) / path if folder is not None else path


LocalPath = Annotated[Path, AfterValidator(_from_folder)]
Seconds = Annotated[float, Field(gt=0)]
Octets = Annotated[int, Field(ge=0)]
Port = Annotated[int, Field(ge=0, le=65535)]


@dataclass(frozen=True, slots=True)
class SecretMark:
    """In a field's metadata: `config show` does not print what is set here."""


Secret = Annotated[str, SecretMark()]


@dataclass(frozen=True, slots=True)
class AtStartMark:
    """In a field's metadata: a running server cannot change it; SIGHUP leaves it as it was, and says so."""


AT_START = AtStartMark()


class SettingsSection(BaseModel):
    """One table: no other settings than these, and none changes once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=False, allow_inf_nan=False)
