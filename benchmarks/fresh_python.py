"""A program in a Python of its own: how long it took, and how much memory it had at its most."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# Linux: VmHWM is of this program alone, where `ru_maxrss` begins with what the process had that started it.
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
    """`megabytes` are those of Python too."""

    seconds: float
    megabytes: float


def cost_of(program: str, folder: Path, environment: Mapping[str, str]) -> Cost:
    """Runs a program that finds its modules in a folder. Its last line of errors is the measurement's."""
    text = MEASURED.format(folder=str(folder), program=program)
    done = subprocess.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True, check=True)
    seconds, kilobytes = done.stderr.splitlines()[-1].split()
    return Cost(float(seconds), int(kilobytes) / 1024)
