"""What all scripts share: the data of a case, the record of it, and the file of records.

A peer is any object with

    step(batch) -> {'y', 'dx', 'dgamma', 'dbeta'}   one step of training, updates included
    infer(x) -> y                                   inference mode, nothing changes
    weights() -> {name: array}                      all weights by ResBatchNorm's names

A name that the peer has not, such as dgamma without a gamma, is left out.
"""

import importlib.metadata
import json
import math
import pathlib
import platform
import zlib
from dataclasses import dataclass

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent.parent
LINE_WIDTH = 90


@dataclass
class Batch:
    x: np.ndarray
    # The upstream gradient: all gradients are those of sum(dy * y).
    dy: np.ndarray
    mask: np.ndarray | None = None
    batch_weights: np.ndarray | None = None


class Data:
    """Batches that are the same in every run, by the name of their case.

    Each channel has a mean and a standard deviation of its own, so that a mixed-up axis
    shows. Values are rounded, which keeps the files short.
    """

    def __init__(self, case, axis, mean=0.0, scale=1.0):
        self.random = np.random.default_rng(zlib.crc32(case.encode()))
        self.axis, self.mean, self.scale = axis, mean, scale

    def x(self, shape):
        channels = shape[self.axis]
        per_channel = [1] * len(shape)
        per_channel[self.axis] = channels
        channel = np.arange(channels).reshape(per_channel)
        normal = self.random.normal(size=shape)
        return rounded(
            self.mean + self.scale * (channel - 0.5 + normal * (0.5 + channel))
        )

    def batch(self, shape):
        return Batch(x=self.x(shape), dy=rounded(self.random.normal(size=shape)))

    def batches(self, *shapes):
        return [self.batch(shape) for shape in shapes]

    def per_channel(self, channels, around, spread, positive=False):
        values = around + spread * self.random.uniform(-1, 1, size=channels)
        return rounded(np.abs(values) if positive else values)

    def weights(self, channels, scale=True, center=True):
        """Weights that differ from each other and from the usual initial values."""
        weights = {}
        if scale:
            weights['gamma'] = self.per_channel(channels, 1, 0.5)
        if center:
            weights['beta'] = self.per_channel(channels, 0, 0.5)
        weights['moving_mean'] = self.per_channel(channels, self.mean, 0.5)
        weights['moving_variance'] = self.per_channel(channels, 1.5, 1, positive=True)
        return weights


def rounded(values):
    return np.round(values, 3).astype(np.float32)


def record(name, *, layer, peer, batches, inference_x, learning_rate=0, **more):
    """Runs a case and returns it as it is stored.

    layer: the arguments of ResBatchNorm that mean the same as the peer's.
    learning_rate: that of the SGD which the peer itself applies to gamma and beta.
    """
    case = {
        'name': name,
        'layer': layer,
        **more,
        'learningRate': learning_rate,
        'initialWeights': listed(peer.weights()),
        'steps': [],
    }
    for batch in batches:
        result = peer.step(batch)
        step = {'shape': list(batch.x.shape), 'x': flat(batch.x)}
        if batch.mask is not None:
            step['mask'] = [int(value) for value in batch.mask.ravel()]
        if batch.batch_weights is not None:
            step['batchWeights'] = flat(batch.batch_weights)
        step['dy'] = flat(batch.dy)
        step.update(listed(result))
        step['weights'] = listed(peer.weights())
        case['steps'].append(step)
    case['inference'] = {
        'shape': list(inference_x.shape),
        'x': flat(inference_x),
        'y': flat(peer.infer(inference_x)),
    }
    return case


def listed(arrays):
    return {name: flat(array) for name, array in arrays.items()}


def flat(array):
    """The values as float32, in row-major order."""
    return [number(value) for value in np.asarray(array, np.float32).ravel()]


def number(value):
    if not np.isfinite(value):
        # JSON has no such numbers; JavaScript's Number() reads these.
        return {'nan': 'NaN', 'inf': 'Infinity', '-inf': '-Infinity'}[str(value)]
    if value == int(value) and abs(value) < 1e6:
        return int(value)
    # The shortest decimal that is this float32.
    return Decimal(value)


class Decimal(float):
    def __init__(self, value):
        self.text = np.format_float_positional(value, unique=True, trim='-')
        if len(self.text) > 14:
            mantissa, exponent = np.format_float_scientific(value, trim='-').split('e')
            self.text = f'{mantissa}e{int(exponent)}'


def write(file, source, packages, cases):
    """Writes golden/<file>, and says how large it is."""
    versions = {'python': platform.python_version()}
    for package in packages:
        versions[package] = importlib.metadata.version(package)
    content = {'source': source, 'versions': versions, 'cases': cases}
    text = to_json(content) + '\n'
    json.loads(text)
    (FOLDER / file).write_text(text)
    print(f'{file}: {len(cases)} cases, {math.ceil(len(text) / 1000)} kB')


def to_json(value, indent=0, key=''):
    """JSON as prettier prints it: objects open, arrays of numbers filled."""
    inner = indent + 2
    if isinstance(value, dict):
        entries = [
            f'{" " * inner}{json.dumps(name)}: {to_json(item, inner, name)}'
            for name, item in value.items()
        ]
        return '{\n' + ',\n'.join(entries) + f'\n{" " * indent}}}' if entries else '{}'
    if not isinstance(value, list):
        return scalar(value)
    if value and isinstance(value[0], dict):
        items = [f'{" " * inner}{to_json(item, inner)}' for item in value]
        return '[\n' + ',\n'.join(items) + f'\n{" " * indent}]'
    items = [scalar(item) for item in value]
    line = f'[{", ".join(items)}]'
    before = indent + len(f'{json.dumps(key)}: ')
    if before + len(line) + len(',') <= LINE_WIDTH:
        return line
    separator = ' ' if all(isinstance(item, (int, float)) for item in value) else '\n'
    lines = ['']
    for i, item in enumerate(items):
        item += ',' if i < len(items) - 1 else ''
        width = inner + len(lines[-1]) + len(separator) + len(item)
        if lines[-1] and (separator == '\n' or width > LINE_WIDTH):
            lines.append(item)
        else:
            lines[-1] += (separator if lines[-1] else '') + item
    margin = ' ' * inner
    return '[\n' + '\n'.join(margin + line for line in lines) + f'\n{" " * indent}]'


def scalar(value):
    if isinstance(value, Decimal):
        return value.text
    return (
        json.dumps(value).replace('e-0', 'e-')
        if isinstance(value, float)
        else json.dumps(value)
    )
