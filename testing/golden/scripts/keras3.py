"""BatchNormalization of Keras 3, on TensorFlow, eager."""

import os

os.environ['KERAS_BACKEND'] = 'tensorflow'
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
os.environ['TF_ENABLE_ONEDNN_OPTS'] = '0'

import keras
import numpy as np
import tensorflow as tf

from cases import Data, record, write


class KerasPeer:
    def __init__(self, layer, shape, learning_rate, weights):
        self.layer = layer
        layer.build([None, *shape[1:]])
        for variable in layer.weights:
            if variable.name in weights:
                variable.assign(weights[variable.name])
            elif variable.name in ('moving_stddev', 'renorm_stddev'):
                variable.assign(np.sqrt(weights['moving_variance']))
            elif variable.name == 'renorm_mean':
                variable.assign(weights['moving_mean'])
        self.trained = [v for v in layer.weights if v.name in ('gamma', 'beta')]
        self.optimizer = keras.optimizers.SGD(learning_rate) if learning_rate else None

    def step(self, batch):
        x = tf.constant(batch.x)
        mask = None if batch.mask is None else tf.constant(batch.mask)
        sources = [x, *(v.value for v in self.trained)]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            y = self.layer(x, training=True, mask=mask)
        dx, *gradients = tape.gradient(y, sources, output_gradients=tf.constant(batch.dy))
        if self.optimizer is not None:
            self.optimizer.apply(gradients, self.trained)
        names = [f'd{v.name}' for v in self.trained]
        return {'y': y, 'dx': dx, **dict(zip(names, gradients, strict=True))}

    def infer(self, x):
        return self.layer(tf.constant(x), training=False)

    def weights(self):
        # The order in which the layer saves them.
        return {v.name: v.numpy() for v in self.layer.weights}


def case(
    name,
    shape,
    axis=-1,
    steps=3,
    momentum=0.9,
    epsilon=0.001,
    scale=True,
    center=True,
    learning_rate=0,
    initial=None,
    masks=None,
    under_mask=None,
    renorm_clipping=None,
    renorm_momentum=0.99,
    renorm=False,
    trainable=True,
    mean=0.0,
):
    """under_mask: a value put under the mask, or a list of values that take turns."""
    data = Data(f'keras3 {name}', axis, mean)
    weights = data.weights(shape[axis], scale, center)
    batches = data.batches(*[shape] * steps)
    for batch, mask in zip(batches, masks or [], strict=masks is not None):
        batch.mask = np.array(mask, bool)
        if under_mask is not None:
            masked = np.broadcast_to(~batch.mask[..., None], shape)
            batch.x[masked] = np.resize(np.float32(under_mask), masked.sum())
            # What comes after a mask ignores what is under it: its gradient is 0.
            batch.dy[masked] = 0
    arguments = {'axis': axis, 'momentum': momentum, 'epsilon': epsilon}
    arguments |= {'center': center, 'scale': scale, 'trainable': trainable}
    same_by_other_name = dict(arguments)
    if renorm:
        arguments |= {'renorm': True, 'renorm_momentum': renorm_momentum}
        arguments['renorm_clipping'] = renorm_clipping
        same_by_other_name |= {'renorm': True, 'renormMomentum': renorm_momentum}
        same_by_other_name['renormClipping'] = renorm_clipping
    layer = keras.layers.BatchNormalization(**arguments)
    return record(
        name,
        layer=same_by_other_name,
        peer=KerasPeer(layer, shape, learning_rate, initial or weights),
        batches=batches,
        inference_x=data.x(shape),
        learning_rate=learning_rate,
    )


CLIPPING = {'rmin': 0.8, 'rmax': 1.25, 'dmax': 0.5}
KERAS_INITIAL = {
    'gamma': np.ones(3),
    'beta': np.zeros(3),
    'moving_mean': np.zeros(3),
    'moving_variance': np.ones(3),
}

# Sequences of unequal length; the second step has an example that is masked altogether.
SEQUENCES = [
    [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 0]],
    [[1, 1, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]],
    [[0, 1, 0, 1], [1, 0, 0, 1], [0, 0, 1, 1], [1, 0, 1, 0]],
]
NOTHING = np.zeros([4, 4])
ROWS = [[[1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 0, 0]], np.eye(4, 3), np.ones([4, 3])]
IMAGES = [[[[1, 0], [1, 1]], [[0, 0], [1, 1]], [[1, 1], [1, 1]], [[0, 0], [0, 1]]]]

NAN, INFINITY = float('nan'), float('inf')

write(
    'keras3.json',
    'keras.layers.BatchNormalization of Keras 3',
    ['keras', 'tensorflow-cpu', 'numpy'],
    [
        case('rank 2', [6, 3], steps=5, learning_rate=0.1),
        case('rank 2, Keras initializers', [6, 3], momentum=0.99, initial=KERAS_INITIAL),
        case('rank 3', [4, 4, 3]),
        case('rank 3, axis 1', [4, 3, 4], axis=1, learning_rate=0.1),
        case('rank 4', [3, 2, 3, 3], steps=5, learning_rate=0.1),
        case('rank 4, axis 1', [3, 3, 2, 3], axis=1, learning_rate=0.1),
        case('rank 4, axis 2', [3, 2, 3, 2], axis=2),
        case('rank 5', [2, 2, 2, 2, 3]),
        case('rank 5, axis 1', [2, 3, 2, 2, 2], axis=1, learning_rate=0.1),
        case('scale=False', [4, 2, 2, 3], scale=False, learning_rate=0.1),
        case('center=False', [4, 3, 4], axis=1, center=False, learning_rate=0.1),
        case('scale=False, center=False', [6, 3], scale=False, center=False),
        case('momentum=0: training equals inference', [6, 3], momentum=0),
        case('epsilon=0.1', [4, 3, 4], axis=1, epsilon=0.1),
        case('mean far from 0', [4, 4, 3], mean=20, learning_rate=0.1),
        case('mean far from 0, axis 1', [3, 3, 2, 3], axis=1, mean=-20),
        case('one value per channel', [1, 3], learning_rate=0.1),
        case('trainable=False', [4, 4, 3], trainable=False),
        case('trainable=False, axis 1', [3, 3, 2, 3], axis=1, trainable=False),
        case('trainable=False, renorm', [4, 4, 3], trainable=False, renorm=True),
        case('renorm', [4, 4, 3], steps=5, renorm=True, learning_rate=0.1),
        case(
            'renorm, clipped',
            [4, 4, 3],
            steps=5,
            renorm=True,
            renorm_clipping=CLIPPING,
            renorm_momentum=0.8,
            learning_rate=0.1,
        ),
        case(
            'renorm, only rmax',
            [6, 3],
            renorm=True,
            renorm_clipping={'rmax': 1},
            renorm_momentum=0.8,
        ),
        case(
            'renorm, axis 1',
            [3, 3, 2, 3],
            axis=1,
            renorm=True,
            renorm_clipping=CLIPPING,
            renorm_momentum=0.8,
            learning_rate=0.1,
        ),
        case(
            'renorm, scale=False', [6, 3], renorm=True, scale=False, renorm_momentum=0.8
        ),
        case(
            'renorm, center=False', [6, 3], renorm=True, center=False, renorm_momentum=0.8
        ),
        case('mask', [4, 4, 3], masks=SEQUENCES, learning_rate=0.1),
        case('mask, mean far from 0', [4, 4, 3], masks=SEQUENCES, mean=20),
        case(
            'mask over large values', [4, 4, 3], masks=SEQUENCES, under_mask=[1e4, -1e4]
        ),
        case(
            'mask over what is not finite',
            [4, 4, 3],
            masks=SEQUENCES,
            under_mask=[NAN, INFINITY, -INFINITY],
        ),
        case('mask over all', [4, 4, 3], masks=[SEQUENCES[0], NOTHING, SEQUENCES[1]]),
        case('mask, axis 1', [4, 3, 4], axis=1, masks=ROWS, learning_rate=0.1),
        case('mask, rank 4', [4, 2, 2, 3], steps=1, masks=IMAGES, learning_rate=0.1),
        case('mask, rank 2', [6, 3], steps=1, masks=[[1, 1, 0, 1, 0, 1]]),
        case(
            'mask, scale=False, center=False',
            [4, 4, 3],
            masks=SEQUENCES,
            scale=False,
            center=False,
        ),
        case(
            'mask, renorm', [4, 4, 3], masks=SEQUENCES, renorm=True, renorm_momentum=0.8
        ),
        case(
            'mask over large values, renorm, clipped',
            [4, 4, 3],
            masks=SEQUENCES,
            under_mask=[1e4, -1e4],
            renorm=True,
            renorm_clipping=CLIPPING,
            renorm_momentum=0.8,
        ),
        case('mask, trainable=False', [4, 4, 3], masks=SEQUENCES, trainable=False),
    ],
)
