"""Keras 3 on TensorFlow, in graph mode: a tf.function without XLA, as `fit` takes it on a CPU."""

import math
import os

import library

os.environ["KERAS_BACKEND"] = "tensorflow"

CLASSES = 10
LEARNING_RATE = 1e-6
NORM_ARGS = {"momentum": 0.9, "epsilon": 1e-3}
# The names of the contenders, and whether the network has a norm.
NETWORKS = {"keras": True, "keras without norm": False}


def open_library(device):
    global keras, tf
    import keras
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise ImportError("its TensorFlow finds no GPU")
    return {
        **one_dnn(),
        "device": {
            "kind": device,
            "name": "GPU of TensorFlow" if gpus else "processor",
        },
        "versions": {"Keras": keras.__version__, "TensorFlow": tf.__version__},
        "notes": [],
    }


def one_dnn():
    """What TensorFlow made of TF_ENABLE_ONEDNN_OPTS, if this version tells."""
    try:
        from tensorflow.python.util import _pywrap_util_port

        return {"usesOneDnn": _pywrap_util_port.IsMklEnabled()}
    except (ImportError, AttributeError):
        return {}


def make_norm(shape, direction):
    x, dy = tf.random.normal(shape), tf.random.normal(shape)
    layer = keras.layers.BatchNormalization(**NORM_ARGS)
    layer.build(x.shape)
    gamma, beta = layer.gamma.value, layer.beta.value

    @tf.function(jit_compile=False)
    def forward(x):
        return [layer(x, training=True)]

    @tf.function(jit_compile=False)
    def backward(x, dy):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return tape.gradient(y, [x, gamma, beta], output_gradients=dy)

    def contender(count):
        for _ in range(count):
            outputs = forward(x) if direction == "forward" else backward(x, dy)
        # One value tells that the device has computed them all.
        for output in outputs:
            output[(0,) * len(output.shape)].numpy()

    return library.Task({"keras": contender})


def make_step(network):
    batch_size, image_shape = network["batchSize"], network["imageShape"]
    build = {"ResNet-20": resnet20, "ResNet-50 style": resnet50}[network["name"]]
    x = tf.random.normal((batch_size, *image_shape))
    y = tf.one_hot(tf.range(batch_size) % CLASSES, CLASSES)
    contenders, parameters = {}, {}
    for name, has_norm in NETWORKS.items():
        model = build(image_shape, has_norm)
        model.compile(
            optimizer=keras.optimizers.SGD(LEARNING_RATE, momentum=0.9),
            loss="categorical_crossentropy",
            jit_compile=False,
        )
        contenders[name] = training(model, x, y)
        parameters[name] = model.count_params()
    return library.Task(contenders, parameters)


def training(model, x, y):
    def contender(count):
        for _ in range(count):
            # A NumPy value: it is here when it has been computed.
            loss = model.train_on_batch(x, y)
            if not math.isfinite(loss):
                raise ArithmeticError(f"the loss is {loss}")
        # The loss could be there before the gradients are.
        model.trainable_variables[-1].numpy()

    return contender


def conv(x, filters, kernel_size, strides, has_norm):
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=not has_norm,
        kernel_initializer="he_normal",
    )(x)


def conv_norm(x, filters, kernel_size, strides, has_norm):
    x = conv(x, filters, kernel_size, strides, has_norm)
    return keras.layers.BatchNormalization(**NORM_ARGS)(x) if has_norm else x


def relu(x):
    return keras.layers.ReLU()(x)


def classifier(image, x):
    x = keras.layers.GlobalAveragePooling2D()(x)
    dense = keras.layers.Dense(
        CLASSES, activation="softmax", kernel_initializer="he_normal"
    )
    return keras.Model(image, dense(x))


def resnet20(image_shape, has_norm):
    """The model of examples/resnet/src/resnet.ts at depth 20, layer by layer."""

    def block(x, filters, strides):
        y = relu(conv_norm(x, filters, 3, strides, has_norm))
        y = conv_norm(y, filters, 3, 1, has_norm)
        if strides != 1:
            x = conv_norm(x, filters, 1, strides, has_norm)
        return relu(keras.layers.Add()([y, x]))

    image = keras.Input(image_shape)
    x = relu(conv_norm(image, 16, 3, 1, has_norm))
    for stage, filters in enumerate((16, 32, 64)):
        for i in range(3):
            x = block(x, filters, 2 if stage > 0 and i == 0 else 1)
    return classifier(image, x)


def resnet50(image_shape, has_norm):
    """The model of src/networks.ts, layer by layer."""

    def block(x, filters, strides):
        y = relu(conv_norm(x, filters, 1, 1, has_norm))
        y = relu(conv_norm(y, filters, 3, strides, has_norm))
        y = conv_norm(y, 4 * filters, 1, 1, has_norm)
        if strides != 1 or x.shape[-1] != 4 * filters:
            x = conv_norm(x, 4 * filters, 1, strides, has_norm)
        return relu(keras.layers.Add()([y, x]))

    image = keras.Input(image_shape)
    x = relu(conv_norm(image, 64, 7, 2, has_norm))
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for stage, (filters, blocks) in enumerate(
        ((64, 3), (128, 4), (256, 6), (512, 3))
    ):
        for i in range(blocks):
            x = block(x, filters, 2 if stage > 0 and i == 0 else 1)
    return classifier(image, x)


if __name__ == "__main__":
    library.serve(open_library, make_norm, make_step)
