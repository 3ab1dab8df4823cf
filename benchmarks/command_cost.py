"""What a command of `regengine` costs as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# What a process is told of its peak begins with that of the one that started it: a small one must
WAITER = """
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
_, _, usage = os.wait4(process.pid, 0)
with open(sys.argv[1], "w") as out:
    json.dump([usage.ru_utime + usage.ru_stime, usage.ru_maxrss], out)
"""


def spent(arguments: Sequence[str]) -> tuple[str, str, float, float]:
    """`regengine` as a process of its own.

    Returns
    -------
    output, messages : str
        What it wrote.
    cpu_s, peak_mb : float
        What it cost.
    """
    with tempfile.TemporaryDirectory() as folder:
        usage = Path(folder) / "usage"
        command = [sys.executable, "-c", WAITER, str(usage), sys.executable, "-m", "cli"]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
        cpu_s, peak_kib = json.loads(usage.read_text())
    return done.stdout, done.stderr, cpu_s, peak_kib / 1024
