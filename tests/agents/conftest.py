from __future__ import annotations

import torch

import rl_pbt.agents  # noqa: F401 - before torch first computes, as in a run

torch.set_num_threads(1)
