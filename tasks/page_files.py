"""Where the pages of a pipeline's windows lie: one file for each window below home, and the newest as latest.html."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from andon.settings import Settings
from storage.lake import write_whole

KEPT = 60  # newest windows whose pages stay below home; those beside the model in MLflow are left alone
LATEST = "latest.html"


def page_name(start: datetime) -> str:
    """The file's name: the window's start, as short as it can be said."""
    clock = start.strftime("T%H%M%S").removesuffix("00").removesuffix("T0000")
    return f"{start:%Y-%m-%d}{clock}.html"


def reports_folder(settings: Settings, pipeline: str) -> Path:
    """The absolute folder of a pipeline's pages."""
    return settings.home.absolute() / "reports" / pipeline


def newest_page(settings: Settings, pipeline: str) -> Path | None:
    """The newest page, or None when there is none."""
    path = reports_folder(settings, pipeline) / LATEST
    return path if path.is_file() else None


def write_pages(folder: Path, pages: Mapping[str, str]) -> None:
    """Each whole or not at all, then the newest of all as latest.html; the pages of windows that are too old go."""
    for name, page in pages.items():
        write_whole(folder / name, lambda beside, page=page: beside.write_text(page, encoding="utf-8"))  # type: ignore[misc]
    dated = sorted(path for path in folder.glob("*.html") if path.name != LATEST)
    write_whole(folder / LATEST, lambda beside: beside.write_bytes(dated[-1].read_bytes()))
    for path in dated[:-KEPT]:
        path.unlink(missing_ok=True)
