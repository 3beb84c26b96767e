"""Several devices of one machine, each batch divided among them by Keras; what JAX compiles for them, kept; their precision."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras


def keep_compiled(folder: Path) -> None:
    """On JAX, keep in a folder what is compiled, for the next run of the same shapes; ``JAX_COMPILATION_CACHE_DIR`` names another.

    Small operations are kept as well: a run has some fifty, and compiling them takes as long as compiling its step.
    """
    if keras.backend.backend() == "jax":
        import jax

        if jax.config.jax_compilation_cache_dir is None:
            jax.config.update("jax_compilation_cache_dir", os.path.abspath(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@contextmanager
def data_parallel(distribute: str, batch_size: int) -> Iterator[int]:
    """Models built and trained within are so on all devices of this machine where ``distribute`` is ``data``; yields their number.

    Loss and gradients are those of the whole batch, normalisation included, so a run's loss curve is that of one device.

    :raises ValueError: where the number of devices does not divide the batch, and on TensorFlow, where Keras divides none.
    """
    if distribute == "none":
        yield 1
        return
    if keras.backend.backend() != "jax":
        raise ValueError("option distribute is 'data' on TensorFlow: Keras divides batches on JAX, set KERAS_BACKEND=jax")
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    count = distribution.device_mesh.devices.size
    if batch_size % count:
        raise ValueError(
            f"option batch_size is {batch_size} for {count} devices: it is the whole batch, give a multiple of {count}"
        )
    with distribution.scope():
        yield count


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Keras's global precision, while models are made: a head that is split off takes that."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
