"""tf.contrib.layers.batch_norm, which lives on as batch_norm of the package tf_slim."""

from legacy_tensorflow import GraphPeer, apply_gradients, tf

import numpy as np
import tf_slim

from cases import Data, record, rounded, write

IN_PLACE = None
UPDATE_OPS = tf.GraphKeys.UPDATE_OPS
OWN_COLLECTION = 'own_collection'
UPDATES = {IN_PLACE: 'inPlace', UPDATE_OPS: 'collected', OWN_COLLECTION: 'collected'}

DECAY = 0.9


def case(
    name,
    shape,
    layer=None,
    steps=3,
    updates_collections=UPDATE_OPS,
    scale=True,
    center=True,
    learning_rate=0,
    batch_weights=None,
    mean=0.0,
    **arguments,
):
    axis = 1 if arguments.get('data_format') == 'NCHW' else -1
    data = Data(f'contrib {name}', axis, mean)
    initial = data.weights(shape[axis], scale, center)
    batches = data.batches(*[shape] * steps)
    if batch_weights is not None:
        for batch, weights in zip(batches, batch_weights, strict=True):
            batch.batch_weights = rounded(weights)

    def build(x, training, batch_weights):
        return tf_slim.batch_norm(
            x,
            decay=DECAY,
            scale=scale,
            center=center,
            is_training=training,
            updates_collections=updates_collections,
            batch_weights=batch_weights,
            param_initializers={
                key: tf.constant_initializer(value) for key, value in initial.items()
            },
            scope='bn',
            reuse=tf.AUTO_REUSE,
            **arguments,
        )

    def train_op(optimizer, gradients):
        update_ops = (
            [] if updates_collections is None else tf.get_collection(updates_collections)
        )
        assert len(update_ops) == (0 if updates_collections is None else 2)
        with tf.control_dependencies(update_ops):
            return apply_gradients(optimizer, gradients)

    peer = GraphPeer(build, shape, learning_rate, train_op, batch_weights is not None)
    return record(
        name,
        layer={
            'axis': axis,
            'momentum': DECAY,
            'epsilon': 0.001,
            'center': center,
            'scale': scale,
            **(layer or {}),
        },
        updates=UPDATES[updates_collections],
        peer=peer,
        batches=batches,
        inference_x=data.x(shape),
        learning_rate=learning_rate,
    )


UNBIASED = {'unbiasedMovingVariance': True}
ZERO_DEBIAS = {'zeroDebiasMovingMean': True}
RENORM = {'renorm': True, 'renormMomentum': 0.8}
# A frequency for each of five examples; one step leaves most of them out.
FREQUENCIES = [[1, 2, 0, 3, 1], [0.5, 0.25, 1.5, 1, 0], [0, 0, 1, 0, 1]]

write(
    'contrib.json',
    'tf.contrib.layers.batch_norm, as tf_slim.batch_norm',
    ['tensorflow-cpu', 'tf-keras', 'tf-slim', 'numpy'],
    [
        case('fused=False, UPDATE_OPS', [4, 2, 2, 3], fused=False, steps=5),
        case(
            'fused=False, UPDATE_OPS, trained',
            [4, 2, 2, 3],
            fused=False,
            learning_rate=0.1,
        ),
        case(
            'fused=False, in place', [4, 2, 3], fused=False, updates_collections=IN_PLACE
        ),
        case(
            'fused=False, in place, trained',
            [6, 3],
            fused=False,
            updates_collections=IN_PLACE,
            learning_rate=0.1,
        ),
        case(
            'fused=False, own collection',
            [4, 2, 3],
            fused=False,
            updates_collections=OWN_COLLECTION,
        ),
        case('default arguments: scale=False', [4, 2, 2, 3], UNBIASED, scale=False),
        case('scale=False, fused=False, rank 2', [6, 3], scale=False, fused=False),
        case(
            'scale=False, center=False, fused=False',
            [4, 2, 2, 3],
            scale=False,
            center=False,
            fused=False,
        ),
        case(
            'fused=True, UPDATE_OPS, trained',
            [4, 2, 2, 3],
            UNBIASED,
            fused=True,
            learning_rate=0.1,
            steps=5,
        ),
        case(
            'fused=True, in place, rank 4',
            [4, 2, 2, 3],
            UNBIASED,
            fused=True,
            updates_collections=IN_PLACE,
        ),
        case(
            'fused=True, in place, rank 2',
            [6, 3],
            UNBIASED,
            fused=True,
            updates_collections=IN_PLACE,
        ),
        case('fused=True, rank 2 in UPDATE_OPS', [6, 3], UNBIASED, fused=True),
        case('NCHW, fused=False', [4, 3, 2, 2], fused=False, data_format='NCHW'),
        case(
            'NCHW, fused=False, in place',
            [4, 3, 2, 2],
            fused=False,
            data_format='NCHW',
            updates_collections=IN_PLACE,
            learning_rate=0.1,
        ),
        case(
            'NCHW, fused=True',
            [4, 3, 2, 2],
            UNBIASED,
            fused=True,
            data_format='NCHW',
            learning_rate=0.1,
        ),
        case(
            'zero_debias_moving_mean, fused=False',
            [4, 2, 2, 3],
            ZERO_DEBIAS,
            fused=False,
            zero_debias_moving_mean=True,
            steps=5,
        ),
        case(
            'zero_debias_moving_mean, fused=True',
            [4, 2, 2, 3],
            {**ZERO_DEBIAS, **UNBIASED},
            fused=True,
            zero_debias_moving_mean=True,
            learning_rate=0.1,
            steps=5,
        ),
        case(
            'zero_debias_moving_mean, in place, mean far from 0',
            [6, 3],
            ZERO_DEBIAS,
            fused=False,
            zero_debias_moving_mean=True,
            updates_collections=IN_PLACE,
            mean=20,
        ),
        case('batch_weights, rank 2', [5, 3], batch_weights=FREQUENCIES),
        case(
            'batch_weights, rank 4, in place, trained',
            [5, 2, 2, 3],
            batch_weights=FREQUENCIES,
            updates_collections=IN_PLACE,
            learning_rate=0.1,
        ),
        case(
            'batch_weights, NCHW',
            [5, 3, 2, 2],
            batch_weights=FREQUENCIES,
            data_format='NCHW',
        ),
        case(
            'batch_weights of 0',
            [5, 3],
            batch_weights=[FREQUENCIES[0], np.zeros(5), FREQUENCIES[1]],
        ),
        case(
            'batch_weights, zero_debias_moving_mean',
            [5, 2, 3],
            ZERO_DEBIAS,
            batch_weights=FREQUENCIES,
            zero_debias_moving_mean=True,
        ),
        case(
            'renorm',
            [4, 2, 2, 3],
            RENORM,
            renorm=True,
            renorm_decay=0.8,
            learning_rate=0.1,
            steps=5,
        ),
        case(
            'renorm, clipped',
            [4, 2, 2, 3],
            {**RENORM, 'renormClipping': {'rmin': 0.8, 'rmax': 1.25, 'dmax': 0.5}},
            renorm=True,
            renorm_decay=0.8,
            renorm_clipping={'rmin': 0.8, 'rmax': 1.25, 'dmax': 0.5},
            learning_rate=0.1,
            steps=5,
        ),
        case(
            'renorm, NCHW',
            [4, 3, 2, 2],
            RENORM,
            renorm=True,
            renorm_decay=0.8,
            data_format='NCHW',
        ),
    ],
)
