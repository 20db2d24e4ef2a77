"""Ends a process that has imported torch before Python takes its interpreter down.

torch 1.7.1 stops its gradient threads after that, and on Python 3.9 a thread then touches what is
gone: every training ends in a segmentation fault, its checkpoint long written. `end_of_torch.pth`
imports this at start-up, so what is registered here runs last of everything at the end: it writes
out what is buffered and leaves with the status that Python would have left with.

The status is that of `sys.exit` or of an uncaught exception. A `SystemExit` that is raised without
`sys.exit` counts as success, which PSENet never does.
"""

import atexit
import os
import sys

STATUS = {"status": 0}


def watch_exits():
    """Remembers what `sys.exit` was called with, or that an exception was not caught."""
    exit_, report = sys.exit, sys.excepthook

    def exit_and_remember(code=None):
        STATUS["status"] = code if isinstance(code, int) else int(code is not None)
        exit_(code)

    def report_and_remember(*exception):
        STATUS["status"] = 1
        report(*exception)

    sys.exit, sys.excepthook = exit_and_remember, report_and_remember


def leave():
    """Ends the process if torch is there; without it nothing is wrong with Python's own end."""
    if "torch" not in sys.modules:
        return
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(STATUS["status"] & 0xFF)


watch_exits()
atexit.register(leave)
