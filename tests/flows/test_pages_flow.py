"""The monitor's pages in their places: below home, beside the champion's model in MLflow, and linked in Prefect."""

import httpx

from flows.monitor import monitor
from flows.score import score
from tests.flows.world import World, day


def test_a_monitor_run_leaves_a_page_for_each_window_and_links_the_newest(world: World, prefect: str) -> None:
    score("bikes", as_of=day(1, 31))
    monitor("bikes", as_of=day(1, 31))
    folder = world.home / "reports" / "bikes"
    pages = {path.name: path.read_bytes() for path in folder.iterdir()}
    windows = [f"{subject[:10]}.html" for subject, _ in world.told("drift")]
    assert sorted(pages) == [*windows, "latest.html"]
    assert pages["latest.html"] == pages[windows[-1]]
    assert b"Sunday 6 February 2011" in pages["latest.html"]
    beside = {path.name: path.read_bytes() for path in (world.home / "models").rglob("windows/*.html")}
    assert beside == pages
    wanted = {"artifacts": {"key": {"any_": ["window-bikes"]}}, "sort": "CREATED_DESC", "limit": 1}
    (told,) = httpx.post(f"{prefect}/artifacts/filter", json=wanted).json()
    assert f"`{folder / windows[-1]}`" in told["data"]
    assert told["data"].startswith("## bikes, Sunday 6 February 2011")

    monitor("bikes", as_of=day(1, 31, 12))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == pages, "no new window, no new page"
