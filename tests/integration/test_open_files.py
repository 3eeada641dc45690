"""The service is not held back by the limit of open files that a shell sets."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import resource
from crossmargin.adapters.runtime.open_files import allow_open_files
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
assert allow_open_files() == hard
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
"""


def test_a_process_gets_as_many_open_files_as_the_system_allows():
    """In a process of its own, so that the limit of this one stays."""
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=60)
