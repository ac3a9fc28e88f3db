"""What Ctrl-C does: before and after the work it ends the process, in between it is a KeyboardInterrupt.

While modules are imported there is nothing to clean up, and an exception would be raised in the midst of other people's
code, which makes others of it, or none. This file imports nothing that Python has not imported already.
"""

import os
from _signal import SIGINT, default_int_handler, getsignal, signal  # type: ignore[import-not-found]  # `signal` is slow

INTERRUPTED = "interrupted. What is finished is kept; the same command resumes."


def end_at_ctrl_c() -> None:
    """From here on Ctrl-C ends the process in one line, unless it is ignored, or somebody else's."""
    if getsignal(SIGINT) is default_int_handler:
        signal(SIGINT, _end)


def raise_at_ctrl_c() -> None:
    """From here on it is a KeyboardInterrupt again."""
    if getsignal(SIGINT) is _end:
        signal(SIGINT, default_int_handler)


def comes_of_ctrl_c(error: BaseException | None) -> bool:
    """Python makes a RuntimeError of a KeyboardInterrupt in the midst of a class, some libraries an ImportError."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _end(number: int, frame: object) -> None:
    os.write(2, f"spicetrain: {INTERRUPTED}\n".encode())
    os._exit(130)
