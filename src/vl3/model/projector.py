"""The projector between vision and language: two linear layers with an exact GELU (`mlp2x_gelu`, paper section 3)."""

import torch.nn.functional as F
from torch import Tensor, nn


class Projector(nn.Module):
    """[N, vision width] -> [N, language width]."""

    def __init__(self, vision_width: int, language_width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(vision_width, language_width)
        self.fc2 = nn.Linear(language_width, language_width)

    def forward(self, x_ND: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x_ND)))
