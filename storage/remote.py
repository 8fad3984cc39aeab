"""Where S3 answers, and how long it may take. Credentials are not here: the usual AWS_* variables hold them."""

from dataclasses import dataclass

from validation.errors import DefinitionError

_CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """`endpoint`: an http address, empty for AWS itself; `region`: empty for the one of the environment; `seconds`:
    how long one remote call may take, all its retries included.
    """

    endpoint: str = ""
    region: str = ""
    seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.endpoint and not self.endpoint.startswith(("http://", "https://")):
            raise DefinitionError(f"the S3 endpoint must be like https://s3.example.org, got {self.endpoint!r}")
        if not self.seconds > 0:
            raise DefinitionError(f"the deadline of remote calls must be above 0 seconds, got {self.seconds}")

    @property
    def silence_seconds(self) -> float:
        """How long a peer may be silent before the call is tried again: thrice within the deadline."""
        return self.seconds / 3

    @property
    def connect_seconds(self) -> float:
        """How long a connection may take to open."""
        return min(_CONNECT_SECONDS, self.silence_seconds)

    def storage_options(self) -> dict[str, str]:
        """The options by which delta-rs and Polars reach it; their own timeouts only: see `storage.deadline`."""
        options = {
            "timeout": f"{self.seconds:g}s",
            "connect_timeout": f"{self.connect_seconds:g}s",
            "aws_conditional_put": "etag",  # or commits would be lost; whatever the environment says
        }
        if self.endpoint:
            options["aws_endpoint_url"] = self.endpoint
            options["aws_virtual_hosted_style_request"] = "false"
        if self.endpoint.startswith("http://"):
            options["aws_allow_http"] = "true"
        if self.region or self.endpoint:
            options["aws_region"] = self.region or "us-east-1"
        return options
