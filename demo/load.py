"""A steady stream of requests to the live scorer, as applications send them, and an honest count of what came back."""

import random
import threading
import time

import httpx
import msgspec
import polars as pl

REQUESTS_PER_SECOND = 8.0
_MOST_ROWS = 4
_DEADLINE_SECONDS = 10.0


class Load:
    """Sends rows of `rows` (set anew for each week) until the `with` block ends. Any answer but 200 is a failure."""

    def __init__(self, url: str, *, seed: int) -> None:
        self.rows = pl.DataFrame()
        self.served, self.failed = 0, 0
        self.failures: list[str] = []
        self._url, self._chance = url, random.Random(seed)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> "Load":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=_DEADLINE_SECONDS, trust_env=False) as client:
            while not self._done.wait(1.0 / REQUESTS_PER_SECOND):
                rows = self.rows
                if rows.height:
                    self._send(client, rows)

    def _send(self, client: httpx.Client, rows: pl.DataFrame) -> None:
        some = rows.slice(self._chance.randrange(rows.height), self._chance.randint(1, _MOST_ROWS))
        body = msgspec.json.encode({"dataframe_records": some.to_dicts()})
        began = time.monotonic()
        try:
            answer = client.post(self._url, content=body)
            problem = "" if answer.status_code == httpx.codes.OK else f"{answer.status_code} {answer.text[:200]}"
        except httpx.HTTPError as error:
            problem = f"{type(error).__name__} after {time.monotonic() - began:.1f} s"
        self.served += not problem
        self.failed += bool(problem)
        if problem:
            self.failures.append(problem)
