"""A Prefect server for one run: python -m benchmarks.server HOME. Tells its address, and ends when its stdin does."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def prefect_server(home: Path) -> Iterator[dict[str, str]]:
    """The variables by which a process finds the server; it is a process of its own, so that this one stays small."""
    command = [sys.executable, "-m", "benchmarks.server", str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as keeper:
        assert keeper.stdout is not None, "opened as a pipe"  # noqa: S101
        address = keeper.stdout.readline().strip()
        yield {**os.environ, "PREFECT_API_URL": address, "PREFECT_HOME": str(home)}


def main() -> None:
    from andon.processes import environment, free_port, start_prefect_server
    from andon.settings import Settings

    home, port = Path(sys.argv[1]), free_port()
    home.mkdir(parents=True, exist_ok=True)
    env = environment(Settings(home=home), prefect_port=port)
    server = start_prefect_server(home, port, env=env)
    try:
        print(env["PREFECT_API_URL"], flush=True)
        sys.stdin.read()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
