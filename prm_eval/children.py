"""Commands that run our own modules as child processes and import nothing from the current folder.

``python -m`` puts the current folder first on the import path, so a ``resource.py`` among the submissions that somebody
checks would run in place of the standard library's. (``-P`` forbids that, from Python 3.11 on.)
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[1])  # holds the package
# an installed package stays on the path where it is; a checkout that is not installed is put first
_START = (
    "import sys; sys.path[:1] = [] if {root!r} in sys.path[1:] else [{root!r}]; "
    "import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
)


def command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours, importing nothing from the current folder."""
    return [sys.executable, "-c", _START.format(root=ROOT, module=module), *arguments]
