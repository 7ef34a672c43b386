"""PyTorch, eager, channels last; on a GPU that is cuDNN's batch norm."""

import math
import os

import library

CLASSES = 10
LEARNING_RATE = 1e-6
# PyTorch's momentum is the weight of the new value.
NORM_ARGS = {"momentum": 0.1, "eps": 1e-3}
# The names of the contenders, and whether the network has a norm.
NETWORKS = {"pytorch": True, "pytorch without norm": False}


def open_library(kind):
    global torch, nn, device
    import torch
    from torch import nn

    if kind == "gpu" and not torch.cuda.is_available():
        raise ImportError("its torch finds no GPU")
    device = torch.device("cuda" if kind == "gpu" else "cpu")
    if kind == "gpu":
        name = torch.cuda.get_device_name()
    else:
        name = "processor"
        torch.set_num_threads(int(os.environ["TF_NUM_INTRAOP_THREADS"]))
        if os.environ["TF_ENABLE_ONEDNN_OPTS"] in ("0", "false"):
            torch.backends.mkldnn.set_flags(False)
    return {
        "usesOneDnn": torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled,
        "device": {"kind": kind, "name": name},
        "versions": {"PyTorch": torch.__version__},
        "notes": [],
    }


def synchronize():
    if device.type == "cuda":
        torch.cuda.synchronize()


def random_values(shape):
    """Of the shape that TensorFlow.js has, with the channels in the place of PyTorch's."""
    values = torch.randn(shape, device=device)
    # Channels first by its shape, channels last in memory.
    return values.permute(0, 3, 1, 2) if len(shape) == 4 else values


def make_norm(shape, direction):
    x, dy = random_values(shape), random_values(shape)
    gamma = torch.ones(shape[-1], device=device)
    beta = torch.zeros(shape[-1], device=device)
    inputs = [x, gamma, beta]
    needs_gradient = direction != "forward"
    for tensor in inputs:
        tensor.requires_grad_(needs_gradient)

    def contender(count):
        for _ in range(count):
            y = nn.functional.batch_norm(
                x, None, None, gamma, beta, training=True, eps=NORM_ARGS["eps"]
            )
            if needs_gradient:
                torch.autograd.grad(y, inputs, dy)
        synchronize()

    return library.Task({"pytorch": contender})


def make_step(network):
    batch_size, image_shape = network["batchSize"], network["imageShape"]
    build = {"ResNet-20": resnet20, "ResNet-50 style": resnet50}[network["name"]]
    x = random_values((batch_size, *image_shape))
    y = torch.arange(batch_size, device=device) % CLASSES
    contenders, parameters = {}, {}
    for name, has_norm in NETWORKS.items():
        model = build(image_shape[-1], has_norm).to(
            device, memory_format=torch.channels_last
        )
        contenders[name] = training(model, x, y)
        parameters[name] = count_parameters(model)
    return library.Task(contenders, parameters)


def count_parameters(model):
    """With the moving statistics, as Keras and TensorFlow.js count them."""
    values = [*model.parameters(), *model.buffers()]
    return sum(value.numel() for value in values if value.is_floating_point())


def training(model, x, y):
    optimizer = torch.optim.SGD(model.parameters(), LEARNING_RATE, momentum=0.9)

    def contender(count):
        for _ in range(count):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            if not math.isfinite(loss.item()):
                raise ArithmeticError(f"the loss is {loss.item()}")
        synchronize()

    return contender


def conv_norm(in_channels, filters, kernel_size, strides, has_norm):
    conv = nn.Conv2d(
        in_channels,
        filters,
        kernel_size,
        stride=strides,
        padding=kernel_size // 2,
        bias=not has_norm,
    )
    nn.init.kaiming_normal_(conv.weight)
    if not has_norm:
        return conv
    return nn.Sequential(conv, nn.BatchNorm2d(filters, **NORM_ARGS))


def residual_block(residual, shortcut):
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.residual, self.shortcut = residual, shortcut

        def forward(self, x):
            return torch.relu_(self.residual(x) + self.shortcut(x))

    return Block()


def relu():
    return nn.ReLU(inplace=True)


def classifier(layers, channels):
    return nn.Sequential(
        *layers,
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, CLASSES),
    )


def resnet20(channels, has_norm):
    """The model of examples/resnet/src/resnet.ts at depth 20, layer by layer."""
    layers = [conv_norm(channels, 16, 3, 1, has_norm), relu()]
    channels = 16
    for stage, filters in enumerate((16, 32, 64)):
        for i in range(3):
            strides = 2 if stage > 0 and i == 0 else 1
            residual = nn.Sequential(
                conv_norm(channels, filters, 3, strides, has_norm),
                relu(),
                conv_norm(filters, filters, 3, 1, has_norm),
            )
            shortcut = nn.Identity()
            if strides != 1:
                shortcut = conv_norm(channels, filters, 1, strides, has_norm)
            layers.append(residual_block(residual, shortcut))
            channels = filters
    return classifier(layers, channels)


def resnet50(channels, has_norm):
    """The model of src/networks.ts, layer by layer."""
    layers = [
        conv_norm(channels, 64, 7, 2, has_norm),
        relu(),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    channels = 64
    for stage, (filters, blocks) in enumerate(
        ((64, 3), (128, 4), (256, 6), (512, 3))
    ):
        for i in range(blocks):
            strides = 2 if stage > 0 and i == 0 else 1
            residual = nn.Sequential(
                conv_norm(channels, filters, 1, 1, has_norm),
                relu(),
                conv_norm(filters, filters, 3, strides, has_norm),
                relu(),
                conv_norm(filters, 4 * filters, 1, 1, has_norm),
            )
            shortcut = nn.Identity()
            if strides != 1 or channels != 4 * filters:
                shortcut = conv_norm(channels, 4 * filters, 1, strides, has_norm)
            layers.append(residual_block(residual, shortcut))
            channels = 4 * filters
    return classifier(layers, channels)


if __name__ == "__main__":
    library.serve(open_library, make_norm, make_step)
