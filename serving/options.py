"""What the supervisor tells each worker on its command line. Secrets are not in it: they are settings."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from validation.errors import DefinitionError


class WorkerOptions(Struct, frozen=True, kw_only=True):
    """The same for all workers of a scorer."""

    pipelines: Sequence[str]
    limit_connections: int
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_key_password_file: str | None = None

    def tls(self) -> dict[str, Any]:
        """The same in uvicorn's words."""
        if self.tls_cert is None:
            return {}
        return {
            "ssl_certfile": self.tls_cert,
            "ssl_keyfile": self.tls_key,
            "ssl_keyfile_password": self.password(),
        }

    def password(self) -> str | None:
        """Of the key; DefinitionError when its file cannot be read."""
        if self.tls_key_password_file is None:
            return None
        try:
            return Path(self.tls_key_password_file).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as cause:
            raise DefinitionError(
                f"--tls-key-password-file {self.tls_key_password_file} cannot be read; put it back"
            ) from cause
