"""How tasks are run: retries only around idempotent input and output, never around a decision."""

from typing import Any

import polars as pl
from prefect.cache_policies import NO_CACHE

# What may happen to one file, or one pipeline, and must not stop the others. NOTE: a panic in Polars is no Exception.
MISHAPS = (Exception, pl.exceptions.PanicException)

# Frames are never hashed or pickled: what must not be done twice, the ledger remembers.
PLAIN: dict[str, Any] = {"cache_policy": NO_CACHE, "persist_result": False}
IDEMPOTENT_IO: dict[str, Any] = {**PLAIN, "retries": 2, "retry_delay_seconds": [1, 5], "retry_jitter_factor": 0.5}
