"""tf.layers.BatchNormalization of TensorFlow 1: ghost batch norm and adjustment."""

from legacy_tensorflow import GraphPeer, tf

import numpy as np

from cases import Data, flat, record, rounded, write

MOMENTUM = 0.9


def case(
    name,
    shapes,
    layer=None,
    axis=-1,
    scale=True,
    center=True,
    learning_rate=0,
    mean=0.0,
    adjustment=None,
    **arguments,
):
    """adjustment: the shapes of the scale and of the offset."""
    data = Data(f'tf.layers {name}', axis, mean)
    initial = data.weights(shapes[0][axis], scale, center)
    more = {}
    if adjustment is not None:
        adjustments = [
            rounded(around + 0.3 * data.random.uniform(-1, 1, size=adjusted_shape))
            for around, adjusted_shape in zip([1, 0], adjustment, strict=True)
        ]
        more['adjustment'] = {
            key: {'shape': list(value.shape), 'values': flat(value)}
            for key, value in zip(['scale', 'offset'], adjustments, strict=True)
        }
        arguments['adjustment'] = lambda shape: tuple(map(tf.constant, adjustments))
    made = []

    def initializer(key):
        # Called with [channels], or for virtual batches with 1 in the other dimensions.
        return lambda shape, dtype=None, partition_info=None: tf.constant(
            np.reshape(initial[key], [int(size) for size in shape])
        )

    def build(x, training, batch_weights):
        if not made:
            initializers = {f'{key}_initializer': initializer(key) for key in initial}
            made.append(
                tf.layers.BatchNormalization(
                    axis=axis,
                    momentum=MOMENTUM,
                    scale=scale,
                    center=center,
                    **initializers,
                    **arguments,
                )
            )
        return made[0].apply(x, training=training)

    return record(
        name,
        layer={
            'axis': axis,
            'momentum': MOMENTUM,
            'epsilon': 0.001,
            'center': center,
            'scale': scale,
            **(layer or {}),
        },
        **more,
        updates='collected',
        peer=GraphPeer(build, shapes[0], learning_rate),
        batches=data.batches(*shapes),
        inference_x=data.x(shapes[-1]),
        learning_rate=learning_rate,
    )


def ghost(name, shapes, size, **more):
    layer = {'virtualBatchSize': size}
    return case(name, shapes, layer, virtual_batch_size=size, **more)


UNBIASED = {'unbiasedMovingVariance': True}

write(
    'tf_layers.json',
    'tf.layers.BatchNormalization of TensorFlow 1, in graph mode',
    ['tensorflow-cpu', 'tf-keras', 'numpy'],
    [
        case('fused, rank 4', [[4, 2, 2, 3]] * 3, UNBIASED, learning_rate=0.1),
        case('fused, rank 4, axis 1', [[4, 3, 2, 2]] * 3, UNBIASED, axis=1),
        case('fused, rank 5', [[2, 2, 2, 2, 3]] * 3, UNBIASED),
        case('not fused, rank 4', [[4, 2, 2, 3]] * 3, fused=False, learning_rate=0.1),
        case('rank 3, axis 1', [[4, 3, 4]] * 3, axis=1, learning_rate=0.1),
        ghost('ghost, rank 2', [[8, 3]] * 5, 4, learning_rate=0.1),
        ghost('ghost, rank 4', [[6, 2, 2, 3]] * 3, 2, learning_rate=0.1),
        ghost('ghost, rank 3, three virtual batches', [[6, 3, 3]] * 3, 2),
        ghost('ghost, rank 4, axis 1', [[4, 3, 2, 2]] * 3, 2, axis=1, learning_rate=0.1),
        ghost('ghost, one virtual batch', [[4, 3]] * 3, 4),
        ghost('ghost, unequal batches', [[8, 3], [4, 3], [12, 3]], 4, learning_rate=0.1),
        ghost('ghost, mean far from 0', [[8, 3]] * 3, 4, mean=20),
        ghost('ghost, scale=False', [[8, 3]] * 3, 4, scale=False, learning_rate=0.1),
        ghost('ghost, center=False', [[8, 3]] * 3, 4, center=False, learning_rate=0.1),
        case(
            'adjustment per channel, rank 2',
            [[6, 3]] * 5,
            adjustment=[[3], [3]],
            learning_rate=0.1,
        ),
        case(
            'adjustment per example, rank 4',
            [[4, 2, 2, 3]] * 3,
            adjustment=[[4, 1, 1, 1], [4, 1, 1, 3]],
            learning_rate=0.1,
        ),
        case(
            'adjustment, axis 1',
            [[4, 3, 2, 2]] * 3,
            axis=1,
            adjustment=[[3, 1, 1], [4, 3, 1, 1]],
        ),
        case(
            'adjustment, scale=False, center=False',
            [[6, 3]] * 3,
            scale=False,
            center=False,
            adjustment=[[6, 1], [3]],
        ),
        case(
            'adjustment and renorm',
            [[4, 2, 2, 3]] * 3,
            {'renorm': True, 'renormMomentum': 0.8},
            adjustment=[[4, 1, 1, 3], [3]],
            renorm=True,
            renorm_momentum=0.8,
            learning_rate=0.1,
        ),
    ],
)
