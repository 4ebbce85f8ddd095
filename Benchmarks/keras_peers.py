"""What keras.sh times beside ckpt.

    keras_peers.py model NAME FILE                   a model of keras.applications with random weights and statistics
    keras_peers.py run FILE NAME BATCH THREADS       median milliseconds of a compiled call in Keras on TensorFlow
"""
import sys
import time

import numpy as np
import tensorflow as tf

if sys.argv[1] == 'model':
    name, path = sys.argv[2:]
    tf.keras.utils.set_random_seed(1)
    model = getattr(tf.keras.applications, name)(weights=None)
    random = np.random.default_rng(2)
    for layer in model.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            size = layer.get_weights()[0].shape
            layer.set_weights([random.uniform(0.5, 1.5, size), random.normal(0, 0.1, size), random.normal(0, 0.1, size), random.uniform(0.5, 2, size)])
    model.save(path)
    sys.exit()

path, name, batch, threads = sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(1)
model = tf.keras.models.load_model(path, compile=False)
call = tf.function(lambda x: model(x, training=False))
x = tf.ones((batch,) + tuple(model.input_shape[1:]))
call(x)
times, start = [], time.perf_counter()
while len(times) < 3 or time.perf_counter() - start < 2:
    before = time.perf_counter()
    call(x).numpy()
    times.append(time.perf_counter() - before)
print('keras', name, batch, sorted(times)[len(times) // 2] * 1e3)
