"""How a pipeline answers single requests, and what its prediction log may keep of them."""

from dataclasses import dataclass
from typing import Literal, get_args

from validation.errors import DefinitionError
from validation.fields import check_types

OnUnknown = Literal["missing", "refuse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """A category that no training row had is scored as `on_unknown` says: like a missing value, or not at all (422).

    The prediction log keeps the rows of a share `log_share` of the requests, without the values of the columns in
    `log_leave_out`, and of those in `log_hash` (strings) a keyed hash. Key and time are always kept: labels are joined
    by them.
    """

    on_unknown: OnUnknown = "missing"
    log_share: float = 1.0
    log_leave_out: tuple[str, ...] = ()
    log_hash: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self, part="serving")
        if self.on_unknown not in get_args(OnUnknown):
            raise DefinitionError(
                f"serving.on_unknown must be one of {', '.join(get_args(OnUnknown))}, got {self.on_unknown!r}"
            )
        if not 0 <= self.log_share <= 1:
            raise DefinitionError(f"serving.log_share must be a share in [0, 1], got {self.log_share}")
        for name in ("log_leave_out", "log_hash"):
            if isinstance(getattr(self, name), str):
                raise DefinitionError(f"serving.{name} must be a tuple of column names, got {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if both := sorted({*self.log_leave_out} & {*self.log_hash}):
            raise DefinitionError(f"serving: {both[0]!r} is both left out and hashed; choose one")
