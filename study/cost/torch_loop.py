"""PAL as a person would write it in PyTorch: double backward through ``torch.autograd.grad``. Run where PyTorch is installed:

    python -m study.cost.torch_loop FILE.npz

The file holds scaled images, labels, heatmaps and the weights of VGG16 with its three dense layers, as Keras has them.
"""

import sys

import numpy as np
import torch
from torch import nn

from study.cost.timing import serve


class Vgg16(nn.Module):
    """VGG16's convolutions in five blocks, and the dense layers behind them.

    :param weights: ``[(kernel, bias), ...]`` in Keras's shapes, 13 convolutions and 3 dense layers.
    :param side: cells along the side of the last map after pooling.
    """

    BLOCKS = (2, 2, 3, 3, 3)

    def __init__(self, weights, side):
        super().__init__()
        self.convolutions = nn.ModuleList()
        for kernel, bias in weights[:13]:
            layer = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1)
            layer.weight.data = torch.from_numpy(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
            layer.bias.data = torch.from_numpy(bias)
            self.convolutions.append(layer)
        dense = []
        for number, (kernel, bias) in enumerate(weights[13:]):
            if number == 0:  # Keras flattens (rows, columns, channels), PyTorch (channels, rows, columns)
                kernel = kernel.reshape(side, side, -1, kernel.shape[1]).transpose(2, 0, 1, 3).reshape(kernel.shape)
            layer = nn.Linear(*kernel.shape)
            layer.weight.data = torch.from_numpy(np.ascontiguousarray(kernel.T))
            layer.bias.data = torch.from_numpy(bias)
            dense += [layer, nn.ReLU()]
        self.head = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), *dense[:-1])

    def features(self, images):
        layers = iter(self.convolutions)
        for number, count in enumerate(self.BLOCKS):
            if number:
                images = nn.functional.max_pool2d(images, 2)
            for _ in range(count):
                images = torch.relu(next(layers)(images))
        return images


def pal(attribution, heatmap):
    """Minus the correlation of two maps, mean over the faces."""
    first, second = attribution.flatten(1), heatmap.flatten(1)
    first, second = first - first.mean(1, keepdim=True), second - second.mean(1, keepdim=True)
    return -nn.functional.cosine_similarity(first, second, dim=1, eps=1e-20).mean()


def main(path):
    with np.load(path) as arrays:
        weights = [(arrays[f"kernel{number}"], arrays[f"bias{number}"]) for number in range(16)]
        images, labels, heatmaps = (torch.from_numpy(arrays[name]) for name in ("images", "labels", "heatmaps"))
        half, side, rate = bool(arrays["half"]), int(arrays["side"]), float(arrays["rate"])
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Vgg16(weights, side).to(device)
    images, labels, heatmaps = (part.to(device) for part in (images, labels, heatmaps))
    if device == "cpu":  # the layout that its convolutions like best
        images, model = images.contiguous(memory_format=torch.channels_last), model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, eps=1e-7)

    def step():
        optimizer.zero_grad()
        with torch.autocast(device, torch.bfloat16, enabled=half):
            features = model.features(images)
        features = features.float()
        logits = model.head(features)
        (gradient,) = torch.autograd.grad(logits.abs().sum(), features, create_graph=True)
        attribution = (gradient.abs() * features).mean(1)
        loss = nn.functional.cross_entropy(logits, labels) + pal(attribution, heatmaps)
        loss.backward()
        optimizer.step()
        return loss.item()

    serve(step, {"losses": [step(), step()], "version": torch.__version__, "device": device})


if __name__ == "__main__":
    main(sys.argv[1])
