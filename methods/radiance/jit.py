"""How the kernels are compiled: serial and without the GIL.

Callers run several kernels at once from threads, one frame each, which scales better than parallel loops inside one
and makes every result independent of the number of threads.
"""

from __future__ import annotations

from typing import Any

OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "boundscheck": False,
    "error_model": "numpy",
    # no "nnan"/"ninf": a diverged training must show as NaN instead of being optimised away
    "fastmath": {"contract", "reassoc", "nsz", "arcp"},
}
