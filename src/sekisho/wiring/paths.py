"""Where things lie in the data folder."""

from pathlib import Path

from sekisho.config.schema import Config


def control_socket(config: Config) -> Path:
    """Operators' commands speak to the server here."""
    return config.data_dir / "run" / "control.sock"


def submission_socket(config: Config) -> Path:
    return config.submission.local_socket or config.data_dir / "run" / "submission.sock"
