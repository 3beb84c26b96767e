"""A run on several devices: each batch divided among them, by means of Keras and TensorFlow.

On JAX that is ``keras.distribution.DataParallel``, over all devices of all processes; on TensorFlow ``MirroredStrategy``, over the
GPUs of one machine. Loss and gradients are those of the whole batch, so a run's loss curve is that of one device.
"""

import os
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np


@dataclass(frozen=True)
class Devices:
    """How many devices train together, and which of how many processes this is; the process 0 writes the run's folder."""

    count: int = 1
    process: int = 0
    processes: int = 1


def _divisible(batch_size, count):
    if batch_size % count:
        raise ValueError(
            f"option batch_size is {batch_size} for {count} devices: it is the whole batch, choose a multiple of {count}"
        )


def join_processes(distribute):
    """Meet the other processes of a run, where the environment says that there are any: Keras's variables, or a step of SLURM.

    :return: ``(number of this process, number of processes)``, (0, 1) where it is alone.
    """
    if distribute == "none" or keras.backend.backend() != "jax":
        return 0, 1
    import jax

    tasks = os.environ.get("KERAS_DISTRIBUTION_NUM_PROCESSES") or os.environ.get("SLURM_STEP_NUM_TASKS") or 1
    if int(tasks) > 1 and not jax.distributed.is_initialized():
        keras.distribution.initialize()
    return jax.process_index(), jax.process_count()


def gathered(number, processes):
    """A small whole number of each process, as a list that all have."""
    if processes == 1:
        return [number]
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(np.array(number, np.int32)).tolist()


def from_first(data, processes):
    """Bytes of the first process, in all of them; what the others give does not matter."""
    from jax.experimental import multihost_utils

    size = gathered(len(data), processes)[0]
    own = np.frombuffer(data[:size], np.uint8)
    shared = multihost_utils.broadcast_one_to_all(np.pad(own, (0, size - own.size)))
    return np.asarray(shared, np.uint8).tobytes()  # older versions of JAX hand on wider numbers


def keep_compiled(folder):
    """On JAX, keep in a folder what is compiled, for the next run of the same shapes; ``JAX_COMPILATION_CACHE_DIR`` names another.

    Small operations are kept as well: a run has some two hundred, and compiling them takes as long as compiling its step.
    """
    if keras.backend.backend() == "jax":
        import jax

        if jax.config.jax_compilation_cache_dir is None:
            jax.config.update("jax_compilation_cache_dir", os.path.abspath(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@contextmanager
def data_parallel(distribute, batch_size):
    """Models built and trained within are so on all devices; yields ``Devices``.

    :raises ValueError: where the number of devices does not divide the batch, and for several machines on TensorFlow.
    """
    if distribute == "none":
        yield Devices()
    elif keras.backend.backend() == "jax":
        import jax

        devices = Devices(len(jax.devices()), *join_processes(distribute))
        _divisible(batch_size, devices.count)
        with keras.distribution.DataParallel(auto_shard_dataset=False).scope():
            yield devices
    else:
        import tensorflow as tf

        if "TF_CONFIG" in os.environ:
            raise ValueError(
                "TF_CONFIG names several workers for distribute=data: Keras 3 does not train on them, set KERAS_BACKEND=jax instead"
            )
        found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        _divisible(batch_size, len(found))
        with tf.distribute.MirroredStrategy([device.name for device in found]).scope():
            yield Devices(len(found))


def _as_dataset(batches):
    """Batches for a TensorFlow strategy: an epoch of them each time that it is iterated, whichever epoch they are set to.

    Keras reads a batch to build a distributed model and begins again; a ``PyDataset`` has read ahead by then.
    """
    import tensorflow as tf

    def spec(array):
        return tf.TensorSpec((None, *array.shape[1:]), array.dtype)

    signature = tf.nest.map_structure(spec, batches[0])
    dataset = tf.data.Dataset.from_generator(lambda: (batches[index] for index in range(len(batches))), output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(batches))).prefetch(2)


def fit(classifier, model, batches, validation, devices, **options):
    """``model.fit`` on one device or, within ``data_parallel``, on several: the same faces in the same order.

    Normalisation takes the statistics of the whole batch; JAX does so by itself.

    :param classifier: the plain one, whose layers ``model`` trains.
    :param batches: ``palcore.data.batches.FaceBatches``, of this process's share. On several devices of TensorFlow a callback has
        to set their epoch.
    """
    if devices.count == 1 or keras.backend.backend() == "jax":
        return model.fit(batches, validation_data=validation, **options)
    norms = [layer for layer in classifier.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.synchronized = True
    try:
        return model.fit(_as_dataset(batches), validation_data=_as_dataset(validation), **options)
    finally:
        for layer in norms:  # a saved classifier is one that any backend loads
            layer.synchronized = False


def on_one_device(classifier, devices):
    """A classifier as one device has it, to be saved and tested: TensorFlow writes none that is spread over several."""
    if devices.count == 1:
        return classifier
    single = keras.models.clone_model(classifier)
    single.set_weights(classifier.get_weights())
    return single
