"""PAL as a person would write it in PyTorch: double backward through ``torch.autograd.grad``. Run where PyTorch is installed:

    python -m study.cost.torch_loop FILE.npz

The file holds uint8 images, labels, heatmaps, and the weights of one of the study's classifiers as Keras has them.
"""

import re
import sys

import numpy as np
import torch
from torch import nn
from torch.nn.functional import avg_pool2d, cosine_similarity, cross_entropy, max_pool2d, relu

from study.cost.timing import serve

HALVES = re.compile("conv1_conv|conv[345]_block1_[01]_conv")
"""Convolutions of ResNet50 that leave half of the rows and columns."""


def layer_of(name, weights):
    """A layer with the weights of Keras's layer of this name: convolution, dense, or batch normalisation."""
    first, *rest = weights
    values = [first, *rest[:1]]
    if first.ndim == 1:
        layer = nn.BatchNorm2d(len(first), eps=float(rest[-1]))
    elif first.ndim == 2:
        layer, values[0] = nn.Linear(*first.shape), first.T
    else:
        side, _, before, behind = first.shape
        stride = 2 if HALVES.fullmatch(name) else 1
        layer = nn.Conv2d(before, behind, side, stride, padding=side // 2, bias=bool(rest))
        values[0] = first.transpose(3, 2, 0, 1)
    for parameter, value in zip((layer.weight, layer.bias), values, strict=False):
        parameter.data = torch.from_numpy(np.ascontiguousarray(value))
    return layer


class Network(nn.Module):
    """``vgg16``, ``compact`` or ``resnet50`` up to the last map, and the three dense layers behind it.

    :param weights: ``{name of Keras's layer: its arrays}``.
    """

    def __init__(self, backbone, weights):
        super().__init__()
        self.backbone = backbone
        self.layers = nn.ModuleDict({name: layer_of(name, arrays) for name, arrays in weights.items()})

    def normalised(self, name, images):
        return self.layers[name](images) if name in self.layers else images

    def blocks(self, images):
        """3x3 convolutions of ``vgg16`` and ``compact``, with pooling between the blocks."""
        names = [name for name in self.layers if "_conv" in name]
        for name in names:
            block, number = name.split("_conv")
            if number == "1" and block != "block1":
                images = self.normalised(f"block{int(block[5:]) - 1}_norm", max_pool2d(images, 2))
            images = relu(self.normalised(f"{block}_norm{number}", self.layers[name](images)))
        return images

    def residual(self, images):
        """ResNet50's bottlenecks."""

        def unit(name, images):
            return self.layers[f"{name}_bn"](self.layers[f"{name}_conv"](images))

        images = max_pool2d(relu(unit("conv1", images)), 3, 2, padding=1)
        for stage, count in zip(range(2, 6), (3, 4, 6, 3), strict=True):
            for block in (f"conv{stage}_block{number}" for number in range(1, count + 1)):
                shortcut = unit(f"{block}_0", images) if block.endswith("block1") else images
                inner = relu(unit(f"{block}_2", relu(unit(f"{block}_1", images))))
                images = relu(unit(f"{block}_3", inner) + shortcut)
        return images

    def features(self, images):
        return self.residual(images) if self.backbone == "resnet50" else self.blocks(images)

    def head(self, features):
        if self.backbone != "resnet50":
            features = (max_pool2d if self.backbone == "vgg16" else avg_pool2d)(features, 2)
        hidden = features.permute(0, 2, 3, 1).flatten(1)  # as Keras flattens
        return self.layers["logits"](relu(self.layers["dense2"](relu(self.layers["dense1"](hidden)))))


def pal(attribution, heatmap):
    """Minus the correlation of two maps, mean over the faces."""
    if attribution.shape != heatmap.shape:
        raise ValueError(f"heatmaps of {tuple(heatmap.shape)} for attributions of {tuple(attribution.shape)}: of another layer")
    first, second = attribution.flatten(1), heatmap.flatten(1)
    first, second = first - first.mean(1, keepdim=True), second - second.mean(1, keepdim=True)
    return -cosine_similarity(first, second, dim=1, eps=1e-20).mean()


def prepare(path):
    """The step on the file's batch, as ``study.cost.timing.serve`` takes it."""
    weights = {}
    with np.load(path) as arrays:
        for name in arrays.files:
            if ":" in name:
                weights.setdefault(name.split(":")[0], []).append(arrays[name])
        images, labels, heatmaps = (torch.from_numpy(arrays[name]) for name in ("images", "labels", "heatmaps"))
        backbone, half, rate = (arrays[name].item() for name in ("backbone", "half", "rate"))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    model = Network(backbone, weights).to(device, memory_format=torch.channels_last)
    images = images.pin_memory() if device == "cuda" else images
    labels, heatmaps = labels.to(device), heatmaps.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, eps=1e-7)

    def step():
        optimizer.zero_grad()
        scaled = images.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 127.5 - 1  # stays channels last
        with torch.autocast(device, torch.bfloat16, enabled=half):
            features = model.features(scaled)
        features = features.float()
        logits = model.head(features)
        (gradient,) = torch.autograd.grad(logits.abs().sum(), features, create_graph=True)
        attribution = (gradient.abs() * features).mean(1)
        loss = cross_entropy(logits, labels) + pal(attribution, heatmaps)
        loss.backward()
        optimizer.step()
        return loss

    def steps(number):
        for _ in range(number):
            loss = step()
        return loss.item()  # waits for a card

    return steps, {"losses": [steps(1), steps(1)], "version": torch.__version__, "device": device}


if __name__ == "__main__":
    serve(lambda: prepare(sys.argv[1]))
