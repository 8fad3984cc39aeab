"""Where something lies: a local path or a key in a bucket, as one value. Reads nothing."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from validation.errors import DefinitionError

_S3 = "s3://"


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """An absolute local path, or `s3://bucket/key`; DefinitionError for all else. `Address.of` takes relative paths."""

    url: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", _tidy_key(self.url) if self.is_remote else _tidy_path(self.url))

    @classmethod
    def of(cls, place: Self | Path | str) -> Self:
        """The address that a person means: local paths are made absolute, `Path("s3://...")` is mended."""
        if isinstance(place, cls):
            return place
        text = os.fspath(place) if isinstance(place, Path) else str(place)
        if text.startswith("s3:/"):  # Path("s3://bucket") has already become s3:/bucket
            return cls(_S3 + text[len("s3:/") :].lstrip("/"))
        return cls(text if "://" in text else os.path.abspath(text))  # noqa: PTH100 - Path.absolute keeps the ".."

    def __truediv__(self, part: str) -> "Address":
        if part.startswith("/") or ".." in part.split("/"):
            raise DefinitionError(f"{self}: what is appended must be relative and without '..', got {part!r}")
        return Address(f"{self.url.rstrip('/')}/{part}")

    def __str__(self) -> str:
        return self.url

    @property
    def is_remote(self) -> bool:
        """Is it in a bucket?"""
        return self.url.startswith(_S3)

    @property
    def name(self) -> str:
        """The last part."""
        return self.url.rpartition("/")[2]

    @property
    def parent(self) -> "Address":
        """The folder that holds it; a bucket and the root folder are their own."""
        above = self.url.rpartition("/")[0]
        return Address("/" if not above else self.url if above in ("s3:", "s3:/") else above)

    @property
    def path(self) -> Path:
        """The local path; DefinitionError in a bucket."""
        if self.is_remote:
            raise DefinitionError(f"{self} is in a bucket, where a local folder is needed; name one")
        return Path(self.url)

    @property
    def bucket(self) -> str:
        """The bucket; empty for a local path."""
        return self.url[len(_S3) :].partition("/")[0] if self.is_remote else ""

    @property
    def key(self) -> str:
        """The key in the bucket, without a leading slash; empty for the bucket itself and for a local path."""
        return self.url[len(_S3) :].partition("/")[2] if self.is_remote else ""

    def below(self, folder: "Address") -> str:
        """Its path below `folder`, such as "2013/w01.parquet"; DefinitionError when it lies elsewhere."""
        stem = folder.url.rstrip("/") + "/"
        if not self.url.startswith(stem):
            raise DefinitionError(f"{self} does not lie below {folder}")
        return self.url[len(stem) :]


def shown(name: str) -> str:
    """A file name as text that can be printed and stored: what is no UTF-8, and control characters, as backslashes."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _tidy_path(path: str) -> str:
    if "://" in path or not path.startswith("/"):
        raise DefinitionError(f"an address must be an absolute path or s3://bucket/key, got {path!r}")
    if ".." in path.split("/") or "\0" in path:
        raise DefinitionError(f"an address must not hold '..' or a zero byte, got {path!r}")
    return "/" + "/".join(part for part in path.split("/") if part not in ("", "."))


def _tidy_key(url: str) -> str:
    """NOTE: a key is no path: a//b and a/./b are objects of their own, and stay as they are."""
    bucket, _, key = url[len(_S3) :].rstrip("/").partition("/")
    if not bucket:
        raise DefinitionError(f"an address must be an absolute path or s3://bucket/key, got {url!r}")
    return f"{_S3}{bucket}/{key}" if key else _S3 + bucket
