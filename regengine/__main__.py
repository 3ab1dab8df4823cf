"""``python -m regengine``, and what the command ``regengine`` calls."""

from __future__ import annotations

import os
import signal
import sys
import warnings


def run() -> None:
    """Run the command line on the arguments of this process, and exit."""
    if sys.platform == "win32":
        sys.exit(
            "Error: regengine runs on Linux and macOS: on Windows, install it in the Windows "
            "Subsystem for Linux (wsl --install)."
        )
    # A user can do nothing about a library's warnings; python -W shows them
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
        os.environ["PYTHONWARNINGS"] = "ignore"
    # Until Ctrl-C can be told in order, it ends the program as it ends any other
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from regengine.commands import run as run_commands

    signal.signal(signal.SIGINT, before)
    run_commands()


if __name__ == "__main__":
    run()
