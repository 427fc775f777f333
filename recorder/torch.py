"""Windows as samples of tensors. PyTorch is imported with the first of them, not with this."""

from __future__ import annotations

from typing import Any

import numpy as np

from recorder.windows import Windows


class TorchWindows:
    """A map-style dataset for any PyTorch `DataLoader`, with forked or spawned workers.

    Pictures stay uint8 (convert them on the device), other floats become float32, masks bool.

    Args:
        windows: The samples.
        channels_first: Pictures as `(n, 3, height, width)`, as PyTorch's layers expect.
    """

    def __init__(self, windows: Windows, channels_first: bool = True) -> None:
        self.windows = windows
        self.channels_first = channels_first

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, i: int) -> dict[str, Any]:
        """Sample `i`; raises ImportError where PyTorch is not installed."""
        import torch

        sample = self.windows[i]
        return {key: self._tensor(torch, value) for key, value in sample.items()}

    def _tensor(self, torch: Any, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        if value.dtype == np.uint8 and value.ndim == 4 and self.channels_first:
            value = value.transpose(0, 3, 1, 2)
        elif value.dtype.kind == "f":
            value = value.astype(np.float32, copy=False)
        elif value.dtype.kind == "u" and value.dtype.itemsize > 1:
            value = value.astype(np.int64)
        return torch.from_numpy(np.ascontiguousarray(value))


def as_torch(windows: Windows, *, channels_first: bool = True) -> TorchWindows:
    """Samples as tensors; see `TorchWindows`."""
    return TorchWindows(windows, channels_first)
