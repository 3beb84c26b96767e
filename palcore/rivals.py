"""Other ways to tell a network where to look, as losses on the same output as PAL: landmarks as target, a map as prediction.

Each compares the map of :class:`~palcore.attribution.AttributionHead` with the neighbourhood of the landmarks, so that PAL and its
rivals differ in nothing but this comparison. All of them cost 0, with a gradient of 0, for a face without landmarks and for a map
that is dead, and none of them returns NaN.
"""

import math

import keras
from keras import ops

from palcore.heatmaps import SIGMA, _check_sigma, gaussian_heatmap
from palcore.losses import PrivilegedAttributionLoss, _rescale

LOSSES = ("pal", "energy", "rrr", "cosine")
"""What ``attribution_loss`` makes: PAL and its rivals."""

SAMPLES = 48
"""Points along the image side, at least, on which "near a landmark" is decided."""

LARGEST = 1e12
"""An attribution beyond this is taken for this, so that its square stays a number in float32."""


def landmark_neighbourhood(landmarks, size, radius=2 * SIGMA, weights=None):
    """Share of each cell's area that lies within ``radius`` of a landmark, on whichever backend Keras uses.

    The same as ``palcore.evaluate.near_landmarks``, but drawn in the graph, where augmentation has moved the landmarks:
    ``SAMPLES`` or more points along the side, each near or not.

    :param landmarks: ``(N, 68, 2)`` as fractions of the image's sides; a landmark that is not finite is left out.
    :param size: ``(h, w)`` cells.
    :param radius: as a fraction of the image side.
    :param weights: ``(68,)``; a landmark of weight 0 is left out. None for all.
    :return: ``(N, h, w)`` float32 tensor in [0, 1].
    """
    height, width = size
    landmarks = ops.cast(ops.convert_to_tensor(landmarks), "float32")
    counted = ops.all(ops.isfinite(landmarks), axis=-1, keepdims=True)
    if weights is not None:
        counted = ops.logical_and(counted, ops.cast(weights, "float32")[:, None] > 0)
    landmarks = ops.where(counted, landmarks, 1e3)  # far away
    rows, columns = (cells * math.ceil(SAMPLES / cells) for cells in (height, width))
    x = (ops.arange(columns, dtype="float32") + 0.5) / columns
    y = (ops.arange(rows, dtype="float32") + 0.5) / rows
    across = ops.square(landmarks[..., 0:1] - x)[:, :, None, :]
    down = ops.square(landmarks[..., 1:2] - y)[:, :, :, None]
    near = ops.cast(ops.min(across + down, axis=1) <= radius**2, "float32")
    near = ops.reshape(near, (-1, height, rows // height, width, columns // width))
    return ops.mean(near, axis=(2, 4))


def has_landmarks(landmarks):
    """1 for a face with at least one finite landmark, else 0: ``(N,)`` float32."""
    landmarks = ops.cast(ops.convert_to_tensor(landmarks), "float32")
    return ops.cast(ops.any(ops.all(ops.isfinite(landmarks), axis=-1), axis=-1), "float32")


def _columns(maps):
    """``(N, h, w)`` or ``(N, h, w, C)`` as ``(N, cells, C)``, the cells flattened."""
    channels = maps.shape[3] if len(maps.shape) == 4 else 1
    return ops.reshape(ops.cast(maps, "float32"), (-1, maps.shape[1] * maps.shape[2], channels))


class _RivalLoss(keras.losses.Loss):
    """What the rivals share: their options, and the comparison with the landmarks face by face.

    :param sigma: width of a landmark's Gaussian, as a fraction of the image side; the neighbourhood reaches two of it.
    :param landmark_weights: ``(68,)``, see ``palcore.heatmaps.region_weights``; None for all equal.
    :raises ValueError: for a ``sigma`` that is not positive.
    """

    def __init__(self, sigma=SIGMA, landmark_weights=None, reduction="sum_over_batch_size", name=None, dtype="float32"):
        _check_sigma(sigma)
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.sigma = sigma
        self.landmark_weights = None if landmark_weights is None else [float(weight) for weight in landmark_weights]

    def _near(self, landmarks, maps):
        near = landmark_neighbourhood(landmarks, tuple(maps.shape[1:3]), 2 * self.sigma, self.landmark_weights)
        return _columns(near)

    def get_config(self):
        return {
            **super().get_config(),
            "sigma": self.sigma,
            "landmark_weights": self.landmark_weights,
            "dtype": "float32",
        }


@keras.saving.register_keras_serializable("palcore")
class EnergyLoss(_RivalLoss):
    """Share of the positive attribution that lies outside the neighbourhood of the landmarks, in [0, 1].

    ``1 - sum_ij(a+_ij m_ij) / sum_ij(a+_ij)`` with ``a+ = max(a, 0)`` and ``m`` the share of a cell near a landmark: one minus the
    energy of the pointing game, which Rao et al. (ICCV 2023, arXiv 2303.11932) recommend as a loss, there with bounding boxes in
    the landmarks' place. The scale of the attribution does not matter. Maps ``(N, h, w, C)`` are taken channel by channel.

    Parameters as for PAL: ``sigma`` (the neighbourhood reaches ``2 sigma``) and ``landmark_weights`` (0 leaves a landmark out).
    """

    def call(self, y_true, y_pred):
        positive = ops.relu(_rescale(_columns(y_pred)))
        total = ops.sum(positive, axis=1)
        alive = total > 0
        inside = ops.sum(positive * self._near(y_true, y_pred), axis=1)
        outside = ops.where(alive, 1.0 - inside / ops.where(alive, total, 1.0), 0.0)
        return ops.mean(outside, axis=-1) * has_landmarks(y_true)


@keras.saving.register_keras_serializable("palcore")
class RightReasonsLoss(_RivalLoss):
    """Squared attribution outside the neighbourhood of the landmarks, at least 0, without an upper bound.

    ``sum_ij a_ij^2 (1 - m_ij)`` with ``m`` the share of a cell near a landmark; maps ``(N, h, w, C)`` are summed over channels.
    After Ross et al. (IJCAI 2017, arXiv 1703.03717), who square the gradient with respect to the pixels and mask it by an
    annotation; here it is the attribution of the features. It can be lowered by small attributions everywhere as well as by
    moving them, so its weight has to be found for each network.

    Parameters as for :class:`EnergyLoss`.
    """

    def call(self, y_true, y_pred):
        maps = _columns(y_pred)
        maps = ops.where(ops.isfinite(maps), ops.clip(maps, -LARGEST, LARGEST), 0.0)
        outside = ops.square(maps) * (1.0 - self._near(y_true, y_pred))
        return ops.sum(outside, axis=(1, 2)) * has_landmarks(y_true)


@keras.saving.register_keras_serializable("palcore")
class CosineLoss(_RivalLoss):
    """One minus the cosine of the map and the heatmap of the landmarks, in [0, 2].

    ``1 - sum_ij(f_ij h_ij) / (|f| |h|)``. On features averaged over their channels (the map ``"features"`` of
    :func:`~palcore.attribution.attribution_map`) it asks them to be active where the landmarks are, without any attribution:
    what PAL would be without its gradient and without subtracting means. Maps ``(N, h, w, C)`` are taken channel by channel.

    Parameters as for PAL.
    """

    def call(self, y_true, y_pred):
        heatmap = gaussian_heatmap(y_true, tuple(y_pred.shape[1:3]), self.sigma, self.landmark_weights)
        maps, heatmap = _rescale(_columns(y_pred)), _rescale(_columns(heatmap))
        squares = ops.sum(ops.square(maps), axis=1) * ops.sum(ops.square(heatmap), axis=1)
        alive = squares > 0
        # Guarded inside the root too: its gradient at 0 is infinite.
        cosine = ops.sum(maps * heatmap, axis=1) / ops.sqrt(ops.where(alive, squares, 1.0))
        return ops.mean(ops.where(alive, 1.0 - cosine, 0.0), axis=-1)


def attribution_loss(name="pal", sigma=SIGMA, landmark_weights=None):
    """The loss of the attribution by name, and the map that it is a loss of.

    :param name: one of ``LOSSES``.
    :param sigma: width of a landmark's Gaussian, as a fraction of the image side.
    :param landmark_weights: ``(68,)`` or None.
    :return: ``(Keras loss, "features" or None)``; None where the map is the attribution that the run asks for.
    :raises ValueError: for an unknown name.
    """
    kinds = {"pal": PrivilegedAttributionLoss, "energy": EnergyLoss, "rrr": RightReasonsLoss, "cosine": CosineLoss}
    if name not in kinds:
        raise ValueError(f"unknown loss {name!r} of the attribution: choose from {', '.join(LOSSES)}")
    return kinds[name](sigma, landmark_weights=landmark_weights), "features" if name == "cosine" else None
