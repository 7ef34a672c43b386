"""The batch norm of TensorFlow 1's ResNet model, in the shape that its code has.

The variables and their initial values, the moments, the moving averages that go to
_extra_train_ops, and the train op that groups them with apply_gradients.
"""

from legacy_tensorflow import GraphPeer, apply_gradients, tf

from tensorflow.python.training import moving_averages

from cases import Data, record, write

DECAY = 0.9
EPSILON = 0.001


class ResNet:
    def __init__(self):
        self._extra_train_ops = []

    def batch_norm(self, x, mode):
        with tf.variable_scope('bn', reuse=tf.AUTO_REUSE):
            params_shape = [x.get_shape()[-1]]

            def variable(name, initial_value, trainable):
                return tf.get_variable(
                    name,
                    params_shape,
                    tf.float32,
                    initializer=tf.constant_initializer(initial_value, tf.float32),
                    trainable=trainable,
                )

            beta = variable('beta', 0.0, True)
            gamma = variable('gamma', 1.0, True)
            moving_mean = variable('moving_mean', 0.0, False)
            moving_variance = variable('moving_variance', 1.0, False)

            if mode == 'train':
                mean, variance = tf.nn.moments(x, [0, 1, 2])
                for moving, batch in [(moving_mean, mean), (moving_variance, variance)]:
                    self._extra_train_ops.append(
                        moving_averages.assign_moving_average(
                            moving, batch, DECAY, zero_debias=False
                        )
                    )
            else:
                mean, variance = moving_mean, moving_variance
            return tf.nn.batch_normalization(x, mean, variance, beta, gamma, EPSILON)

    def train_op(self, optimizer, gradients):
        apply_op = apply_gradients(optimizer, gradients)
        return tf.group(apply_op, *self._extra_train_ops)


def case(name, shapes, learning_rate=0, **data):
    model = ResNet()
    data = Data(f'tf1 {name}', axis=-1, **data)
    peer = GraphPeer(
        lambda x, training, batch_weights: model.batch_norm(
            x, 'train' if training else 'eval'
        ),
        shapes[0],
        learning_rate,
        model.train_op,
    )
    return record(
        name,
        # The defaults of ResBatchNorm, which are those of this code.
        layer={},
        updates='collected',
        peer=peer,
        batches=data.batches(*shapes),
        inference_x=data.x(shapes[-1]),
        learning_rate=learning_rate,
    )


write(
    'tf1.json',
    'batch_norm of the TensorFlow 1 ResNet model, graph mode, grouped train op',
    ['tensorflow-cpu', 'numpy'],
    [
        case('gamma and beta fixed', [[4, 2, 2, 3]] * 5),
        case('gamma and beta trained', [[4, 2, 2, 3]] * 5, learning_rate=0.05),
        case('mean far from 0', [[4, 2, 2, 3]] * 5, mean=20, learning_rate=0.05),
        case('small values', [[4, 2, 2, 3]] * 5, scale=0.1, learning_rate=0.05),
        case(
            'batches of unequal size',
            [[6, 2, 2, 3], [2, 2, 2, 3], [1, 2, 2, 3], [5, 2, 2, 3]],
            learning_rate=0.05,
        ),
    ],
)
