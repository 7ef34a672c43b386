"""The Keras side of resnet20_step.mjs: times training steps of ResNet-20, one on request.

Trains as `fit` does: train_on_batch in graph mode (a tf.function, jit_compile=False).

Prints one line of JSON about itself, or {"absent": reason} where Keras is not installed. Then
it reads the name of a norm a line ("builtin" or "none"), trains that model for one step, and
answers each with a line {"ms": …, "loss": …}. Ends at the end of its input.
"""

import json
import os
import sys
import time

os.environ["KERAS_BACKEND"] = "tensorflow"

IMAGE_SHAPE = (32, 32, 3)
CLASSES = 10
NORMS = ("builtin", "none")


def resnet20(layers, keras, norm):
    """The model of packages/resnet/src/resnet.ts at depth 20, layer by layer."""

    def conv_norm(x, filters, kernel_size=3, strides=1):
        x = layers.Conv2D(
            filters,
            kernel_size,
            strides=strides,
            padding="same",
            use_bias=norm == "none",
            kernel_initializer="he_normal",
        )(x)
        if norm == "none":
            return x
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-3)(x)

    def block(x, filters, strides):
        y = layers.ReLU()(conv_norm(x, filters, strides=strides))
        y = conv_norm(y, filters)
        shortcut = x if strides == 1 else conv_norm(x, filters, 1, strides)
        return layers.ReLU()(layers.Add()([y, shortcut]))

    image = keras.Input(IMAGE_SHAPE)
    x = layers.ReLU()(conv_norm(image, 16))
    for stage, filters in enumerate((16, 32, 64)):
        for i in range(3):
            x = block(x, filters, strides=2 if stage > 0 and i == 0 else 1)
    x = layers.GlobalAveragePooling2D()(x)
    classes = layers.Dense(
        CLASSES, activation="softmax", kernel_initializer="he_normal"
    )(x)
    return keras.Model(image, classes)


def main():
    batch_size, learning_rate = int(sys.argv[1]), float(sys.argv[2])
    try:
        import keras
        import tensorflow as tf
    except ImportError as error:
        reply({"absent": str(error)})
        return

    models = {}
    for norm in NORMS:
        model = models[norm] = resnet20(keras.layers, keras, norm)
        model.compile(
            optimizer=keras.optimizers.SGD(learning_rate, momentum=0.9),
            loss="categorical_crossentropy",
            jit_compile=False,
        )
    x = tf.random.normal((batch_size, *IMAGE_SHAPE))
    y = tf.one_hot(tf.range(batch_size) % CLASSES, CLASSES)
    reply(
        {
            "keras": keras.__version__,
            "tensorflow": tf.__version__,
            "usesGpu": bool(tf.config.list_physical_devices("GPU")),
            "parameters": {norm: models[norm].count_params() for norm in NORMS},
        }
    )
    for line in sys.stdin:
        start = time.perf_counter()
        # A NumPy value: the step has ended when it is here.
        loss = models[line.strip()].train_on_batch(x, y)
        ms = (time.perf_counter() - start) * 1000
        reply({"ms": ms, "loss": float(loss)})


def reply(message):
    print(json.dumps(message), flush=True)


main()
