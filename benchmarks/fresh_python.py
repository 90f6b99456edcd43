"""A program in a new Python process: how long it took, and its peak memory."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Linux: VmHWM counts this program alone; `ru_maxrss` includes the process that started it.
MEASURED = """
import sys, time
sys.path.insert(0, {folder!r})
began = time.perf_counter()
{program}
seconds = time.perf_counter() - began
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM:"))
print(seconds, peak.split()[1], file=sys.stderr)
"""


@dataclass(frozen=True)
class Cost:
    """`megabytes` includes Python itself."""

    seconds: float
    megabytes: float


def cost_of(program: str, folder: Path, environment: Mapping[str, str]) -> Cost:
    """Run a program that imports modules from a folder. The last line of its standard error is the measurement."""
    text = MEASURED.format(folder=str(folder), program=program)
    done = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True)
    seconds, kilobytes = done.stderr.splitlines()[-1].split()
    return Cost(float(seconds), int(kilobytes) / 1024)
