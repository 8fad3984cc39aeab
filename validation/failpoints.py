"""Named points at which the crash tests kill or stop the process; without `ANDON_KILL_AT` or `ANDON_STOP_AT` in the
environment, nothing.
"""

import os
import signal


def reached(point: str) -> None:
    """SIGKILL this process when `ANDON_KILL_AT` names this point: no handler, no clean-up, as when the power goes.

    SIGSTOP, once, when `ANDON_STOP_AT` does: as a machine that is suspended, and wakes up after its lease was lost.
    """
    if os.environ.get("ANDON_KILL_AT") == point:
        os.kill(os.getpid(), signal.SIGKILL)
    if os.environ.get("ANDON_STOP_AT") == point:
        del os.environ["ANDON_STOP_AT"]
        os.kill(os.getpid(), signal.SIGSTOP)
