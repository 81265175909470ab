"""A patch autoencoder that keeps the mean of every 2x2 pixels."""

from torch import nn
from torch.nn.functional import avg_pool2d, interpolate


class Means(nn.Module):
    """Maps (B, C, H, W) float32 images to what is left of them."""

    patch_size = 4

    def forward(self, images):
        return interpolate(avg_pool2d(images, 2), scale_factor=2)


def build():
    """The model under test; here one would load weights."""
    return Means()
