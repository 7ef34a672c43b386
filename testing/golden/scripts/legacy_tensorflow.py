"""TensorFlow 1's graph mode under TensorFlow 2, for the peers that are written for it.

tf_slim 1.1 and tf.compat.v1.layers look for things where TensorFlow 2.21 no longer has
them. They are put back under their old names; the code of the peers is as it was.
"""

import os
import sys

os.environ['TF_USE_LEGACY_KERAS'] = '1'
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
os.environ['TF_ENABLE_ONEDNN_OPTS'] = '0'

import numpy as np
import tensorflow
from tensorflow.python.framework import ops
from tf_keras.src import legacy_tf_layers
from tf_keras.src.legacy_tf_layers import base, normalization

ops.Tensor = tensorflow.Tensor
sys.modules['tf_keras.legacy_tf_layers'] = legacy_tf_layers
sys.modules['tf_keras.legacy_tf_layers.base'] = base
sys.modules['tf_keras.legacy_tf_layers.normalization'] = normalization

tf = tensorflow.compat.v1
tf.disable_eager_execution()
tf.logging.set_verbosity(tf.logging.ERROR)

# ResBatchNorm's names, where they are not the last part of the variable's.
OTHER_NAMES = {'biased': 'moving_mean_biased', 'local_step': 'moving_mean_local_step'}

# Graph variables are found by name: the order here is ResBatchNorm's, not the peer's.
ORDER = [
    'gamma',
    'beta',
    'moving_mean',
    'moving_variance',
    'moving_mean_biased',
    'moving_mean_local_step',
    'moving_stddev',
    'renorm_mean',
    'renorm_stddev',
]


class GraphPeer:
    """A batch norm in a graph of its own, with a train op.

    build(x, training, batch_weights): makes the batch norm; twice, on shared variables.
    make_train_op(optimizer, gradients): None for an apply_gradients that waits for the
        ops in tf.GraphKeys.UPDATE_OPS.
    """

    def __init__(
        self, build, shape, learning_rate=0, make_train_op=None, has_batch_weights=False
    ):
        self.graph = tf.Graph()
        with self.graph.as_default():
            self.x = tf.placeholder(tf.float32, [None, *shape[1:]])
            self.dy = tf.placeholder(tf.float32, [None, *shape[1:]])
            self.batch_weights = (
                tf.placeholder(tf.float32, [None]) if has_batch_weights else None
            )
            y = build(self.x, training=True, batch_weights=self.batch_weights)
            self.inference_y = build(self.x, training=False, batch_weights=None)
            trained = tf.trainable_variables()
            dx, *gradients = tf.gradients(y, [self.x, *trained], grad_ys=self.dy)
            self.fetches = {'y': y, 'dx': dx}
            for variable, gradient in zip(trained, gradients, strict=True):
                self.fetches[f'd{name_of(variable)}'] = gradient
            optimizer = tf.train.GradientDescentOptimizer(learning_rate)
            # A graph does not say whether y reads gamma before or after it is trained.
            with tf.control_dependencies(list(self.fetches.values())):
                make = make_train_op or train_op_after_update_ops
                self.train_op = make(
                    optimizer, list(zip(gradients, trained, strict=True))
                )
            self.variables = {name_of(v): v for v in tf.global_variables()}
            self.session = tf.Session()
            self.session.run(tf.global_variables_initializer())

    def step(self, batch):
        feeds = {self.x: batch.x, self.dy: batch.dy}
        if batch.batch_weights is not None:
            feeds[self.batch_weights] = batch.batch_weights
        result, _ = self.session.run([self.fetches, self.train_op], feeds)
        return result

    def infer(self, x):
        return self.session.run(self.inference_y, {self.x: x})

    def weights(self):
        weights = self.session.run(self.variables)
        return {
            name: np.ravel(weights[name]) for name in sorted(weights, key=ORDER.index)
        }


def name_of(variable):
    name = variable.op.name.split('/')[-1]
    return OTHER_NAMES.get(name, name)


def train_op_after_update_ops(optimizer, gradients):
    update_ops = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    with tf.control_dependencies(update_ops):
        return apply_gradients(optimizer, gradients)


def apply_gradients(optimizer, gradients):
    return optimizer.apply_gradients(gradients) if gradients else tf.no_op()
