"""Entry point of the console script: Ctrl-C is answered before anything else is imported."""

import os
import signal
from types import FrameType

_STOPPED = b"Stopped before anything was done.\n"


def main() -> None:
    """Run the command line."""
    # What is started in the background may ignore Ctrl-C, and stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)
    from indexing_assets.cli.main import program

    program()


def _stop(_number: int, _frame: FrameType | None) -> None:
    """End at once: an exception in the middle of an import may be swallowed, or shown as an error of that module."""
    os.write(2, _STOPPED)
    os._exit(130)
