"""The processes of one training, which accelerate's launcher starts: one on each GPU."""

import torch
from accelerate import PartialState


def state() -> PartialState:
    """Return which of the processes this is, and how many there are."""
    return PartialState(cpu=not torch.cuda.is_available())
