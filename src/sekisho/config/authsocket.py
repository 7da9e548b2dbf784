"""[auth_socket]: where other mail servers on this machine ask about logins."""

from typing import Annotated

from pydantic import Field

from sekisho.config.section import AT_START, LocalPath, SettingsSection


class AuthSocketSettings(SettingsSection):
    """Where other mail servers on this machine ask whether a login is valid, in Dovecot's authentication
    protocol."""

    path: Annotated[LocalPath | None, AT_START] = Field(
        None,
        description="Path of the Unix socket; absent: there is none. Whoever may open the socket can try "
        "passwords.",
    )
    mode: Annotated[str, Field(pattern="^0[0-7]{3}$"), AT_START] = Field(
        "0600", description="Permissions of the socket, as chmod writes them."
    )
    group: Annotated[str, AT_START] = Field(
        "", description="Group of the socket, by name or number; empty: the group of the server's user."
    )
