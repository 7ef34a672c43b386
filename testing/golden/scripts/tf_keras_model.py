"""A whole model written by tf.keras of TensorFlow 2, which gives its axes as lists of one."""

import json
import os
import pathlib
import sys

os.environ['TF_USE_LEGACY_KERAS'] = '1'
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
os.environ['TF_ENABLE_ONEDNN_OPTS'] = '0'

import numpy as np
import tensorflow as tf
import tf_keras

SHAPE = [6, 6, 2]
EXAMPLES = 8


def model():
    layers = tf_keras.layers
    image = tf_keras.Input(SHAPE, name='image')
    x = layers.Conv2D(4, 3, padding='same', use_bias=False, name='conv')(image)
    x = layers.BatchNormalization(name='after_conv')(x)
    x = layers.ReLU(name='relu')(x)
    inner = tf_keras.Sequential(
        [
            layers.DepthwiseConv2D(3, name='depthwise', input_shape=[6, 6, 4]),
            layers.BatchNormalization(epsilon=1e-2, momentum=0.9, name='nested'),
        ],
        name='inner',
    )
    x = layers.Flatten(name='flatten')(inner(x))
    x = layers.Dense(3, name='dense')(x)
    x = layers.BatchNormalization(center=False, name='after_dense')(x)
    return tf_keras.Model(image, x, name='tf_keras_model')


def values(array):
    return {'shape': list(array.shape), 'values': [float(v) for v in np.ravel(array)]}


def main():
    tf.random.set_seed(1)
    random = np.random.default_rng(1)
    made = model()
    made.compile(tf_keras.optimizers.SGD(0.05), 'mse')
    x = random.normal(2, 3, [64, *SHAPE]).astype(np.float32)
    y = random.normal(size=[64, 3]).astype(np.float32)
    made.fit(x, y, batch_size=EXAMPLES, epochs=3, verbose=0)
    topology = json.loads(made.to_json())
    golden = {
        'source': 'tf.keras of TensorFlow 2',
        'versions': {
            'tensorflow': tf.__version__,
            'tf_keras': tf_keras.__version__,
            'numpy': np.__version__,
            'python': '.'.join(map(str, sys.version_info[:3])),
        },
        'modelTopology': {
            'keras_version': tf_keras.__version__,
            'backend': 'tensorflow',
            'model_config': topology,
        },
        'weights': {
            weight.name.removesuffix(':0'): values(weight.numpy())
            for weight in made.weights
        },
        'input': values(x[:EXAMPLES]),
        'predictions': values(made.predict(x[:EXAMPLES], verbose=0)),
    }
    path = pathlib.Path(__file__).resolve().parents[1] / 'models' / 'tf_keras.json'
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(golden) + '\n')


main()
