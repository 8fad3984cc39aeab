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
        remote = self.url.startswith(_S3)
        inner = self.url[len(_S3) :] if remote else self.url
        if (remote and not inner.strip("/")) or (not remote and ("://" in inner or not inner.startswith("/"))):
            raise DefinitionError(f"an address must be an absolute path or s3://bucket/key, got {self.url!r}")
        if ".." in inner.split("/") or "\0" in inner:
            raise DefinitionError(f"an address must not hold '..' or a zero byte, got {self.url!r}")
        tidy = "/".join(part for part in inner.split("/") if part not in ("", "."))
        object.__setattr__(self, "url", f"{_S3 if remote else '/'}{tidy}")

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
        if part.startswith("/"):
            raise DefinitionError(f"{self}: what is appended must be relative, got {part!r}")
        return Address(f"{self.url}/{part}")

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
