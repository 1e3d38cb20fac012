"""A closed-form code for pictures: the principal components of their 8 x 8 patches.

The VAE learns its latents from this code. An encoder and a decoder that each know their target from the first step
converge far sooner than the two do through a bottleneck they must first agree on; and the U-Net can learn on the
same latents while the VAE is still training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class LinearCode:
    """Patch statistics: a latent is `weights @ (patch - mean)`."""

    weights: torch.Tensor
    """(channels, 3 * patch * patch)."""
    mean: torch.Tensor
    patch: int

    def encode(self, pictures: torch.Tensor) -> torch.Tensor:
        """Code pictures, (n, 3, height, width) in -1..1, as latents (n, channels, height / patch, width / patch)."""
        import torch.nn.functional as functional

        kernel = self.weights.reshape(-1, 3, self.patch, self.patch)
        return functional.conv2d(pictures, kernel, bias=-(self.weights @ self.mean), stride=self.patch)


def fit_linear_code(pictures: torch.Tensor, channels: int, patch: int) -> LinearCode:
    """Fit the code to pictures; latents have unit variance on average, strong components keep half their lead."""
    import torch
    import torch.nn.functional as functional

    patches = functional.unfold(pictures, patch, stride=patch).transpose(1, 2).reshape(-1, 3 * patch * patch).double()
    mean = patches.mean(0)
    covariance = (patches - mean).T @ (patches - mean) / len(patches)
    variances, directions = torch.linalg.eigh(covariance)
    deviations = variances.flip(0)[:channels].clamp(min=1e-9).sqrt()
    directions = directions.flip(1)[:, :channels]
    # An eigenvector's sign is free; without this rule it would differ between machines.
    directions = directions * torch.where(directions.sum(0) < 0, -1.0, 1.0)
    # Fully whitened, faint detail would weigh as much as the picture's colours; not at all, it would drown in noise.
    gains = deviations**-0.5
    gains = gains / (deviations * gains).square().mean().sqrt()
    return LinearCode(weights=(directions * gains).T.float().contiguous(), mean=mean.float(), patch=patch)
