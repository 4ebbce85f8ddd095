"""Makes bert4keras 0.11.5 work with TensorFlow 2.15 (Keras 2.15). Import this before bert4keras.

Two things stand in the way:

- bert4keras' `TF_KERAS=1` mode puts `tf.keras` into `sys.modules['keras']`, but TensorFlow loads `tf.keras` lazily, and
  the lazy stand-in lacks the submodules bert4keras asks for; so the real Keras package is put there.
- Keras 2.15 writes an activation function of bert4keras into a whole-model file as a dictionary that neither it nor
  bert4keras can read back. The versions bert4keras was written for wrote the function's name, and so does this.
  `plain_keras_activations()` gives Keras' own way for a while.
"""
import contextlib
import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ['TF_KERAS'] = '1'

import keras
import keras.src.activations
import tensorflow as tf

tf.keras = keras
tf.__dict__['keras'] = keras

_serialize = keras.src.activations.serialize


def _serialize_by_name(activation, use_legacy_format=True):
    return _serialize(activation, use_legacy_format=use_legacy_format)


def _use(function):
    keras.activations.serialize = keras.src.activations.serialize = function


@contextlib.contextmanager
def plain_keras_activations():
    """Activations are written as Keras 2.15 writes them without this module."""
    _use(_serialize)
    try:
        yield
    finally:
        _use(_serialize_by_name)


_use(_serialize_by_name)
