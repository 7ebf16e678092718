"""How much memory this process used while something ran: resident on Linux, allocated on a CUDA device. Keeps nothing.

The resident mark is the kernel's own (VmHWM), set back through /proc/self/clear_refs when the measurement begins. It
counts the whole process: interpreter, libraries and whatever was done before. So two figures are told: the mark itself,
and by how much it rose above what was resident at the beginning. The second is what the work took in addition; freed
memory that the allocator had kept and hands out again is not in it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType

_RESET, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")


class PeakMemory:
    """Context manager; afterwards its figures are those of what ran inside it.

    rss_bytes: resident at most, 0 where it cannot be measured. added_rss_bytes: that less what was resident at entry,
    None where it cannot be measured. cuda_bytes: allocated by torch at most, 0 without a CUDA context.
    """

    def __init__(self) -> None:
        self.rss_bytes = self.cuda_bytes = 0
        self.added_rss_bytes: int | None = None
        self._at_entry = 0  # bytes; 0 where the mark cannot be set back

    def __enter__(self) -> PeakMemory:
        try:
            _RESET.write_text("5", encoding="ascii")  # proc(5): 5 sets the peak back to what is resident now
            self._at_entry = _resident_peak()
        except OSError:  # not Linux, or a sandbox that forbids it: an older peak would be told as this one
            self._at_entry = 0
        if _has_cuda():
            import torch

            torch.cuda.reset_peak_memory_stats()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._at_entry:
            self.rss_bytes = _resident_peak()
            self.added_rss_bytes = max(0, self.rss_bytes - self._at_entry)
        if _has_cuda():
            import torch

            self.cuda_bytes = int(torch.cuda.max_memory_allocated())


def _has_cuda() -> bool:
    """Whether a CUDA context exists: asking must not make one."""
    torch = sys.modules.get("torch")
    return torch is not None and bool(torch.cuda.is_initialized())


def _resident_peak() -> int:
    for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
