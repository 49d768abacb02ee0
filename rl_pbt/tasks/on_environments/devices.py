"""Whether a device is there: only torch can tell."""

from __future__ import annotations

import torch

from rl_pbt.errors import BadSetting


def check_available(device: str) -> None:
    """Raises BadSetting for a device on which nothing can be computed here."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError):
        raise BadSetting("device", f"{device!r} is not available here: use cpu") from None
