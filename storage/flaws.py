"""What is wrong with a file before a row of it is read."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flaw:
    """`reason` ends with what its owner should do; `is_incomplete`: an upload that is under way looks like this too."""

    reason: str
    is_incomplete: bool = False


EMPTY = Flaw("is empty (0 bytes); upload it again", is_incomplete=True)
