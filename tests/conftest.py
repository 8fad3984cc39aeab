"""Random tests try the same examples each time: when one fails, the change is to blame.

To look for others: HYPOTHESIS_PROFILE=explore make test.
"""

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)  # a busy machine is no failed property
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
