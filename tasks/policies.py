"""How tasks are run: retries only around idempotent input and output, never around a decision."""

from typing import Any

from prefect.cache_policies import NO_CACHE

# Frames are never hashed or pickled: what must not be done twice, the ledger remembers.
PLAIN: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
IDEMPOTENT_IO: dict[str, Any] = {**PLAIN, "retries": 2, "retry_delay_seconds": [1, 5], "retry_jitter_factor": 0.5}
