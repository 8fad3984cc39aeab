"""What has arrived, and what is in it. Reads only; never moves, changes or deletes a landed file.

What can be told of a damaged file: a cut one (by its format), bytes that are not what a manifest, S3's own checksum or
a Parquet page's checksum says, text that is no UTF-8. What cannot: bits that flipped before all of these, in a Parquet
file without page checksums and without a manifest; a CSV file that was cut at a line's end, or is still being appended
to: let it land under a name that begins with "." or ends in .part, and rename it when it is whole.
"""

from collections.abc import Container

from storage.admission import Admitted, Postponed, admitted
from storage.evidence import is_evidence
from storage.found import Found
from storage.lake import Lake
from storage.landed import LandedFile, reading, scan, still_the_same
from storage.objects import objects_for

__all__ = ["Admitted", "LandedFile", "Postponed", "admitted", "arrived", "reading", "scan", "still_the_same"]

_IGNORED_PREFIXES = (".", "_")
_IGNORED_SUFFIXES = (".tmp", ".part")


def arrived(lake: Lake, path: str, *, known: Container[tuple[str, str]] = ()) -> tuple[Found, ...]:
    """The files that match the glob `path`, by name, without those whose (name, stamp) is known; no byte is read.

    Names that start with "." or "_", or end in .tmp or .part, are uploads in progress and not yet there. Manifests are
    no data.
    """
    glob = lake.glob(path)
    found = objects_for(glob, lake.remote).find(glob)
    return tuple(file for file in found if _is_data(file) and (file.name, file.stamp) not in known)


def _is_data(file: Found) -> bool:
    hidden = any(part.startswith(_IGNORED_PREFIXES) for part in file.name.split("/"))
    return not hidden and not file.name.endswith(_IGNORED_SUFFIXES) and not is_evidence(file.name)
