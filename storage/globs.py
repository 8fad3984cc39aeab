"""What a glob means, for folders and buckets alike: `*`, `?` and `[...]` within one folder's names, `**` any number of
folders. A name that holds such a character is written as `glob.escape` writes it.
"""

import fnmatch
import glob as escaping
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

from storage.address import Address, shown
from storage.found import Found

Children: TypeAlias = tuple[Iterable[str], Iterable[Found]]  # names of the folders, and files, directly in a folder
Pattern: TypeAlias = tuple[str, ...]

_ESCAPED = re.compile(r"\[([*?[])\]")
_ANY_FOLDERS = "**"


def matches(glob: Address, children: Callable[[Address], Children]) -> tuple[Found, ...]:
    """The files that match, by name, which is the path below the glob's fixed part; each folder is listed once."""
    base, pattern = _fixed_part(glob)
    return tuple(sorted(_walk(base, (pattern,), "", children), key=lambda found: found.name))


def escaped(folder: Address) -> Address:
    """The glob that means this very folder."""
    scheme = "s3://" if folder.is_remote else ""
    return Address(scheme + escaping.escape(folder.url[len(scheme) :]))


def _fixed_part(glob: Address) -> tuple[Address, Pattern]:
    scheme = "s3://" if glob.is_remote else "/"
    parts = glob.url[len(scheme) :].split("/")
    wild = next((at for at, part in enumerate(parts) if _is_wild(part)), len(parts) - 1)
    pattern = (*parts[wild:], "*") if parts[-1] == _ANY_FOLDERS else tuple(parts[wild:])
    return Address(scheme + _ESCAPED.sub(r"\1", "/".join(parts[:wild]))), pattern


def _is_wild(part: str) -> bool:
    return escaping.has_magic(_ESCAPED.sub("", part))


def _walk(
    folder: Address, patterns: Iterable[Pattern], above: str, children: Callable[[Address], Children]
) -> Iterator[Found]:
    active = {pattern[skipped:] for pattern in patterns for skipped in _skippable(pattern)}
    folders, files = children(folder)
    last = [pattern[0] for pattern in active if len(pattern) == 1]
    for found in files:
        if any(fnmatch.fnmatchcase(found.address.name, wanted) for wanted in last):
            yield replace(found, name=shown(above + found.address.name))
    for name in folders:
        if inside := {rest for pattern in active for rest in _entered(pattern, name)}:
            yield from _walk(folder / name, inside, f"{above}{name}/", children)


def _skippable(pattern: Pattern) -> range:
    """How many parts may be left out, since `**` means no folder too."""
    return range(next((at for at, part in enumerate(pattern) if part != _ANY_FOLDERS), 0) + 1)


def _entered(pattern: Pattern, folder: str) -> Iterator[Pattern]:
    """What is left to match in this folder."""
    if pattern[0] == _ANY_FOLDERS:
        yield pattern
    elif len(pattern) > 1 and fnmatch.fnmatchcase(folder, pattern[0]):
        yield pattern[1:]
