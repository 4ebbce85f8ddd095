"""Makes bert4keras 0.11.5 importable with TensorFlow 2.15 (Keras 2.15).

Import this before bert4keras. Its `TF_KERAS=1` mode puts `tf.keras` into
`sys.modules['keras']`, but TensorFlow loads `tf.keras` lazily, and the lazy
stand-in lacks the submodules bert4keras asks for; so the real Keras package is
put there first.
"""
import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
os.environ['TF_KERAS'] = '1'

import keras
import tensorflow as tf

tf.keras = keras
tf.__dict__['keras'] = keras
