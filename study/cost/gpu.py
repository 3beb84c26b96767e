"""The step on a GPU at 224 pixels: with PAL and without, both precisions, and the PyTorch loop on the same card."""

import keras

from study.cost.models import step_of
from study.cost.steps import by_hand, described
from study.cost.timing import clocked, interleaved, ratio


def gpu(size=224, counts=(64, 128, 256), rounds=10):
    """Ratios, and faces a second, of VGG16 and ResNet50; ValueError where TensorFlow sees no GPU."""
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        raise ValueError("--gpu on a machine where TensorFlow sees none: install the extra cuda on one that has a card")
    found = {}
    for precision in ("float32", "mixed_bfloat16"):
        keras.config.set_dtype_policy(precision)
        for backbone in ("vgg16", "resnet50"):
            for count in counts:
                plain, _ = step_of(backbone, size, count, pal=False)
                pal, _ = step_of(backbone, size, count)
                times = interleaved({"pal": clocked(pal), "plain": clocked(plain)}, rounds)
                what = f"PAL's step over the same step without: {described(backbone, size, count, None)}, {precision}"
                one = ratio(what, times, "pal", "plain", at_most=1.05)
                rates = {name: round(count / seconds, 1) for name, seconds in one["seconds"].items()}
                found[f"{backbone}_{count}_{precision}"] = one | {"faces_per_second": rates}
                keras.backend.clear_session()
        keras.config.set_dtype_policy("float32")
        found |= by_hand(size, counts[0], rounds, precision)
    return found
