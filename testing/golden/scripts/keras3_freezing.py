"""What Keras 3 trains when models that hold batch norms are frozen and thawed, eager.

Writes keras3_freezing.json into the folder given, or into the one above this script.
"""

import os

os.environ['KERAS_BACKEND'] = 'tensorflow'
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
os.environ['TF_ENABLE_ONEDNN_OPTS'] = '0'
os.environ['CUDA_VISIBLE_DEVICES'] = ''

import importlib.metadata
import json
import math
import pathlib
import platform
import sys
import tempfile
import warnings
import zlib

import keras
import numpy as np
from keras import layers

FILE = 'keras3_freezing.json'
LINE_WIDTH = 90
BATCH, STEPS, FEATURES = 8, 3, 4
NAMES = ['gamma', 'beta', 'moving_mean', 'moving_variance']

registered = keras.saving.register_keras_serializable(package='freezing')


class Repeats:
    """What an assignment to `trainable` of the value that it has already does.

    Keras's setter passes any value on to all layers inside. On TensorFlow, Keras does not
    get as far as the setter when the value is the same; on its other backends it does.
    """

    def __init__(self):
        self.pass_on, self.met = False, False
        classes = layers.Layer.__mro__
        trackable = next(c for c in classes if c.__name__ == 'KerasAutoTrackable')
        self.assign = trackable.__setattr__
        trackable.__setattr__ = lambda *arguments: self.observe(*arguments)

    def observe(self, layer, name, value):
        if name == 'trainable' and getattr(layer, 'trainable', None) is value:
            self.met = True
            if self.pass_on:
                object.__setattr__(layer, name, value)
                return
        self.assign(layer, name, value)


repeats = Repeats()


# Layers of users.


@registered
class OwnBatchNorm(layers.BatchNormalization):
    pass


@registered
class Cell(layers.Layer):
    """An RNN cell: bn(x) + state / 2."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.bn = norm()
        self.state_size = self.output_size = FEATURES

    def build(self, input_shape):
        self.bn.build(input_shape)

    def call(self, x, states, training=None):
        y = self.bn(x, training=training) + 0.5 * states[0]
        return y, [y]


@registered
class Holder(layers.Layer):
    """Makes its norm in the constructor, as most do: its config does not tell of it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.bn = norm()

    def build(self, input_shape):
        self.bn.build(input_shape)

    def call(self, x, training=None):
        return self.bn(x, training=training)


@registered
class LateHolder(layers.Layer):
    """Makes its norm in build()."""

    def build(self, input_shape):
        self.bn = norm()
        self.bn.build(input_shape)

    def call(self, x, training=None):
        return self.bn(x, training=training)


@registered
class GivenHolder(layers.Layer):
    """Is given its norm, and has it in its config."""

    def __init__(self, bn, **kwargs):
        super().__init__(**kwargs)
        self.bn = bn

    def build(self, input_shape):
        # A norm that was loaded is built already.
        if not self.bn.built:
            self.bn.build(input_shape)

    def call(self, x, training=None):
        return self.bn(x, training=training)

    def get_config(self):
        bn = keras.saving.serialize_keras_object(self.bn)
        return {**super().get_config(), 'bn': bn}

    @classmethod
    def from_config(cls, config):
        bn = keras.saving.deserialize_keras_object(config.pop('bn'))
        return cls(bn, **config)


class Sum(layers.Layer):
    """In a chain, one norm would undo the scale and the offset of the one before."""

    def build(self, input_shape):
        for layer in self.held():
            layer.build(input_shape)

    def call(self, x, training=None):
        return sum(layer(x, training=training) for layer in self.held())


@registered
class ListHolder(Sum):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norms = [norm('bn_0'), norm('bn_1')]

    def held(self):
        return self.norms


@registered
class DictHolder(Sum):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.norms = {'a': norm('bn_a'), 'b': norm('bn_b')}

    def held(self):
        return [self.norms['a'], self.norms['b']]


@registered
class NestedHolder(Sum):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.list = ListHolder(name='list')
        self.dict = DictHolder(name='dict')

    def held(self):
        return [self.list, self.dict]


# Structures.


def norm(name='bn', cls=layers.BatchNormalization):
    return cls(momentum=0.5, name=name)


def dense(units, name):
    return layers.Dense(units, name=name)


def head():
    return dense(2, 'head')


def chain(name, *parts, shape=(FEATURES,)):
    """A functional model: parts, one after the other."""
    x = y = keras.Input(shape)
    for part in parts:
        y = part(y)
    return keras.Model(x, y, name=name)


def nested(depth, *, cls=layers.BatchNormalization, bn=None):
    names = {1: ['part'], 2: ['inner', 'part'], 3: ['inner', 'middle', 'part']}[depth]
    model = bn or norm(cls=cls)
    for name in names:
        model = chain(name, model)
    return model


class Structure:
    """A part that holds norms, and an outer model around it with a head that trains.

    targets, norms: find, by name, what is in the part.
    """

    sequences = False

    def __init__(self, description, make, norms, targets=lambda part: {}, outer=None):
        self.description, self.make = description, make
        self.norms, self.targets = norms, targets
        if outer is not None:
            self.outer = outer

    def outer(self, part):
        shape = (STEPS, FEATURES) if self.sequences else (FEATURES,)
        return chain('outer', part, head(), shape=shape)

    def part_of(self, outer):
        return outer.get_layer('part')


class SequenceStructure(Structure):
    sequences = True


class ExtendedBackbone(Structure):
    def outer(self, part):
        return keras.Model(part.input, head()(part.output), name='outer')

    def part_of(self, outer):
        # The backbone itself is not in the outer model, its layers are.
        return outer


class Direct(Structure):
    def part_of(self, outer):
        return outer.get_layer('bn')


class Shared(Structure):
    def make_shared(self):
        bn = norm()
        self.second = chain('second', bn)
        return chain('part', bn)

    def outer(self, part):
        return chain('outer', part, self.second, head())

    def part_of(self, outer):
        self.second = outer.get_layer('second')
        return outer.get_layer('part')


class Gan(Structure):
    def __init__(self, description):
        super().__init__(description, self.make_discriminator, self.both)
        self.targets = lambda part: {'generator': self.generator}

    def both(self, part):
        return {
            'generator': self.generator.get_layer('bn'),
            'discriminator': part.get_layer('bn'),
        }

    def make_discriminator(self):
        self.generator = chain('generator', dense(FEATURES, 'dense'), norm())
        tanh = layers.Dense(FEATURES, 'tanh', name='dense')
        return chain('part', tanh, norm(), head())

    def outer(self, part):
        return chain('outer', self.generator, part)

    def part_of(self, outer):
        self.generator = outer.get_layer('generator')
        return outer.get_layer('part')


def in_model(part):
    """The norms of a Sequential or functional part."""
    found = [layer for layer in part.layers if 'BatchNorm' in type(layer).__name__]
    return {layer.name: layer for layer in found}


def in_inner(part):
    return {'bn': part.get_layer('inner').get_layer('bn')}


def sequential(*parts, name='outer'):
    return keras.Sequential([keras.Input((FEATURES,)), *parts], name=name)


def structures():
    plain = 'part = Model(bn); outer = '
    shared = Shared(
        'part = Model(bn); second = Model(the same bn); '
        'outer = Model(part, second, head)',
        None,
        lambda part: {
            'first': part.get_layer('bn'),
            'second': shared.second.get_layer('bn'),
        },
        lambda part: {'second': shared.second},
    )
    shared.make = shared.make_shared
    return {
        'nested_1': Structure(plain + 'Model(part, head)', lambda: nested(1), in_model),
        'nested_2': Structure(
            'inner = Model(bn); part = Model(inner); outer = Model(part, head)',
            lambda: nested(2),
            in_inner,
            lambda part: {'inner': part.get_layer('inner')},
        ),
        'nested_3': Structure(
            'inner = Model(bn); middle = Model(inner); part = Model(middle); '
            'outer = Model(part, head)',
            lambda: nested(3),
            lambda part: in_inner(part.get_layer('middle')),
            lambda part: {
                'middle': part.get_layer('middle'),
                'inner': part.get_layer('middle').get_layer('inner'),
            },
        ),
        'sequential_first': Structure(
            plain + 'Sequential(part, head)',
            lambda: nested(1),
            in_model,
            outer=lambda part: keras.Sequential([part, head()], name='outer'),
        ),
        'sequential_later': Structure(
            plain + 'Sequential(dense, part, head)',
            lambda: nested(1),
            in_model,
            outer=lambda part: sequential(dense(FEATURES, 'dense'), part, head()),
        ),
        'sequential_of_sequential': Structure(
            'part = Sequential(bn); outer = Sequential(part, head)',
            lambda: sequential(norm(), name='part'),
            in_model,
            outer=lambda part: sequential(part, head()),
        ),
        'time_distributed': SequenceStructure(
            'part = TimeDistributed(bn); outer = Model(part, head)',
            lambda: layers.TimeDistributed(norm(), name='part'),
            lambda part: {'bn': part.layer},
        ),
        'time_distributed_model': SequenceStructure(
            'inner = Model(bn); part = TimeDistributed(inner); outer = Model(part, head)',
            lambda: layers.TimeDistributed(chain('inner', norm()), name='part'),
            lambda part: in_model(part.layer),
            lambda part: {'inner': part.layer},
        ),
        'rnn_cell': SequenceStructure(
            'inner = a cell of a user, made with its bn: bn(x) + state / 2; '
            'part = RNN(inner); outer = Model(part, head)',
            lambda: layers.RNN(Cell(name='inner'), unroll=True, name='part'),
            lambda part: {'bn': part.cell.bn},
            lambda part: {'inner': part.cell},
        ),
        'bidirectional': SequenceStructure(
            'part = Bidirectional(RNN(cell)), the cell as in rnn_cell; forward, backward '
            '= the two RNNs in it; outer = Model(part, head)',
            lambda: layers.Bidirectional(
                layers.RNN(Cell(name='cell'), unroll=True), name='part'
            ),
            lambda part: {
                'forward': part.forward_layer.cell.bn,
                'backward': part.backward_layer.cell.bn,
            },
            lambda part: {
                'forward': part.forward_layer,
                'backward': part.backward_layer,
            },
        ),
        'user_layer': Structure(
            'part = a layer of a user that makes its bn in the constructor; '
            'outer = Model(part, head)',
            lambda: Holder(name='part'),
            lambda part: {'bn': part.bn},
        ),
        'user_layer_late': Structure(
            'part = a layer of a user that makes its bn in build; '
            'outer = Model(part, head)',
            lambda: LateHolder(name='part'),
            lambda part: {'bn': part.bn} if part.built else {},
        ),
        'user_layer_given': Structure(
            'part = a layer of a user that is given its bn, and has it in its config; '
            'outer = Model(part, head)',
            lambda: GivenHolder(norm(), name='part'),
            lambda part: {'bn': part.bn},
        ),
        'user_layer_nested': Structure(
            'list = a layer of a user that holds an array of two bns; dict = one that '
            'holds an object with two; part = one that holds list and dict; each is the '
            'sum of what it holds; all are made in the constructors; '
            'outer = Model(part, head)',
            lambda: NestedHolder(name='part'),
            lambda part: {
                'list_0': part.list.norms[0],
                'list_1': part.list.norms[1],
                'dict_a': part.dict.norms['a'],
                'dict_b': part.dict.norms['b'],
            },
            lambda part: {'list': part.list, 'dict': part.dict},
        ),
        'shared': shared,
        'subclass': Structure(
            'inner = Model(bn), the bn of a subclass that changes only the class name; '
            'part = Model(inner); outer = Model(part, head)',
            lambda: nested(2, cls=OwnBatchNorm),
            in_inner,
            lambda part: {'inner': part.get_layer('inner')},
        ),
        'extended_backbone': ExtendedBackbone(
            'inner = Model(bn); part = Model(inner); '
            'outer = Model(inputs: part.input, outputs: head(part.output))',
            lambda: nested(2),
            in_inner,
            lambda part: {'inner': part.get_layer('inner')},
        ),
        'direct': Direct(
            'part = bn; outer = Model(part, head)', norm, lambda part: {'bn': part}
        ),
        'gan': Gan(
            'generator = Model(dense, bn); '
            'part = Model(dense with tanh, bn, head), the discriminator; '
            'outer = Model(generator, part)'
        ),
    }


# Actions.


class Run:
    """The state of a case while its actions are done, one by one."""

    def __init__(self, name, structure):
        keras.utils.clear_session(free_memory=False)
        seed = zlib.crc32(name.encode())
        keras.utils.set_random_seed(seed)
        self.random = np.random.default_rng(seed)
        self.structure = structure
        self.part, self.outer = structure.make(), None

    def do(self, action):
        verb, target = action.split(' ')
        return getattr(self, verb)(target)

    def results(self, actions):
        """Those of the training steps. What fails otherwise ends the case."""
        results = []
        for action in actions:
            try:
                result = self.do(action)
            except ValueError as error:
                return [*results, {'step': action, 'error': kind(error)}]
            if result is not None:
                results.append(result)
        return results

    def models(self):
        targets = {'outer': self.outer, 'part': self.part}
        if self.part is self.outer:
            del targets['part']
        within = self.structure.targets(self.part or self.outer)
        return {name: model for name, model in {**targets, **within}.items() if model}

    def norms(self):
        return self.structure.norms(self.part)

    def freeze(self, target):
        self.set_trainable(target, False)

    def thaw(self, target):
        self.set_trainable(target, True)

    def set_trainable(self, target, trainable):
        if target == 'bns':
            norms = self.norms()
            assert norms
            for bn in norms.values():
                bn.trainable = trainable
        else:
            self.models()[target].trainable = trainable

    def assemble(self, target):
        self.outer = self.structure.outer(self.part)

    def extend(self, target):
        self.part.add(layers.Activation('tanh', name='tanh'))
        self.part.add(norm('added'))

    def compile(self, target):
        optimizer = keras.optimizers.SGD(0.1)
        self.models()[target].compile(optimizer, 'mse', run_eagerly=True)

    def reload(self, target):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, 'model.keras')
            self.outer.save(path)
            self.outer = keras.saving.load_model(path, compile=False)
        self.part = self.structure.part_of(self.outer)

    def train(self, target):
        model, norms = self.models()[target], self.norms()
        x = self.random.normal(0.5, 1.5, size=[BATCH, *model.input_shape[1:]])
        y = self.random.normal(size=[BATCH, *model.output_shape[1:]])
        trained = {id(variable) for variable in model.trainable_weights}
        result = {
            'step': f'train {target}',
            'models': {name: counted(model) for name, model in self.models().items()},
            'norms': {},
        }
        before = {}
        for name, bn in norms.items():
            before[name] = {key: getattr(bn, key).numpy() for key in NAMES}
            variables = {key: getattr(bn, key) for key in NAMES}
            result['norms'][name] = {
                **counted(bn),
                'trained': [key for key in NAMES if id(variables[key]) in trained],
            }
        try:
            model.train_on_batch(x.astype('float32'), y.astype('float32'))
        except ValueError as error:
            result['error'] = kind(error)
        for name, bn in norms.items():
            result['norms'][name]['changed'] = [
                key
                for key in NAMES
                if (getattr(bn, key).numpy() != before[name][key]).any()
            ]
        return result


def counted(layer):
    weights = [layer.trainable_weights, layer.non_trainable_weights, layer.weights]
    return {'trainable': layer.trainable, 'weights': [len(list) for list in weights]}


def kind(error):
    if 'optimizer can only be called for the variables' in str(error):
        return 'unknown variable'
    if 'objects could not be loaded' in str(error):
        return 'variables missing in file'
    raise error


# Cases.

ONCE = ['compile outer', 'train outer']
TIMELINES = {
    'never frozen': ['assemble outer', *ONCE],
    'part frozen before it is added': ['freeze part', 'assemble outer', *ONCE],
    'part frozen after it was added': ['assemble outer', 'freeze part', *ONCE],
    'part frozen after compile': [
        'assemble outer',
        'compile outer',
        'freeze part',
        'train outer',
    ],
    'part frozen after compile, compiled again': [
        'assemble outer',
        'compile outer',
        'freeze part',
        *ONCE,
    ],
    'part frozen after a step': ['assemble outer', *ONCE, 'freeze part', 'train outer'],
    'part frozen after a step, compiled again': [
        'assemble outer',
        *ONCE,
        'freeze part',
        *ONCE,
    ],
    'part frozen and thawed': ['freeze part', 'assemble outer', 'thaw part', *ONCE],
    'part frozen, thawed after compile': [
        'assemble outer',
        'freeze part',
        'compile outer',
        'thaw part',
        'train outer',
    ],
    'part frozen, thawed after a step': [
        'assemble outer',
        'freeze part',
        *ONCE,
        'thaw part',
        'train outer',
    ],
    'part frozen, thawed after a step, compiled again': [
        'assemble outer',
        'freeze part',
        *ONCE,
        'thaw part',
        *ONCE,
    ],
    'part frozen, bns thawed': ['assemble outer', 'freeze part', 'thaw bns', *ONCE],
    'part frozen, outer thawed': ['assemble outer', 'freeze part', 'thaw outer', *ONCE],
    'bns frozen before part is added': ['freeze bns', 'assemble outer', *ONCE],
    'bns frozen': ['assemble outer', 'freeze bns', *ONCE],
    'bns frozen, part thawed': ['assemble outer', 'freeze bns', 'thaw part', *ONCE],
    'bns frozen, part frozen and thawed': [
        'assemble outer',
        'freeze bns',
        'freeze part',
        'thaw part',
        *ONCE,
    ],
    'bns frozen, outer frozen and thawed': [
        'assemble outer',
        'freeze bns',
        'freeze outer',
        'thaw outer',
        *ONCE,
    ],
    'outer frozen': ['assemble outer', 'freeze outer', *ONCE],
    'outer frozen and thawed': ['assemble outer', 'freeze outer', 'thaw outer', *ONCE],
    'outer frozen, part thawed': ['assemble outer', 'freeze outer', 'thaw part', *ONCE],
    'outer frozen, bns thawed': ['assemble outer', 'freeze outer', 'thaw bns', *ONCE],
    'part frozen, saved and loaded': [
        'assemble outer',
        'freeze part',
        'compile outer',
        'reload outer',
        *ONCE,
    ],
    'part frozen, saved and loaded, part thawed': [
        'assemble outer',
        'freeze part',
        'compile outer',
        'reload outer',
        'thaw part',
        *ONCE,
    ],
    'part frozen, saved and loaded, part frozen again': [
        'assemble outer',
        'freeze part',
        'compile outer',
        'reload outer',
        'freeze part',
        *ONCE,
    ],
    'part frozen, bns thawed, saved and loaded': [
        'assemble outer',
        'freeze part',
        'thaw bns',
        'reload outer',
        *ONCE,
    ],
    'bns frozen, saved and loaded': [
        'assemble outer',
        'freeze bns',
        'reload outer',
        *ONCE,
    ],
    'outer frozen, saved and loaded': [
        'assemble outer',
        'freeze outer',
        'reload outer',
        *ONCE,
    ],
    'outer frozen, part thawed, saved and loaded': [
        'assemble outer',
        'freeze outer',
        'thaw part',
        'reload outer',
        *ONCE,
    ],
}


def of(*then):
    return ['assemble outer', *then, *ONCE]


def inside(target):
    """Timelines about something between the part and its norms."""
    return {
        f'{target} frozen': of(f'freeze {target}'),
        f'part frozen, {target} thawed': of('freeze part', f'thaw {target}'),
        f'{target} frozen, part thawed': of(f'freeze {target}', 'thaw part'),
        f'{target} frozen, bns thawed': of(f'freeze {target}', 'thaw bns'),
        f'{target} frozen, saved and loaded': of(f'freeze {target}', 'reload outer'),
        f'part frozen, {target} thawed, saved and loaded': of(
            'freeze part', f'thaw {target}', 'reload outer'
        ),
    }


TAKING_TURNS = ['train part', 'train outer'] * 2
MORE = {
    'nested_2': inside('inner'),
    'nested_3': {**inside('middle'), **inside('inner')},
    'sequential_of_sequential': {
        'part frozen, then extended by a bn': [
            'freeze part',
            'extend part',
            'assemble outer',
            *ONCE,
        ],
        'part frozen, extended by a bn, frozen again': [
            'freeze part',
            'extend part',
            'freeze part',
            'assemble outer',
            *ONCE,
        ],
        'part frozen, extended by a bn, thawed': [
            'freeze part',
            'extend part',
            'thaw part',
            'assemble outer',
            *ONCE,
        ],
        'part frozen, then extended by a bn, saved and loaded': [
            'freeze part',
            'extend part',
            'assemble outer',
            'reload outer',
            *ONCE,
        ],
    },
    'time_distributed_model': inside('inner'),
    'rnn_cell': inside('inner'),
    'bidirectional': inside('forward'),
    'user_layer_nested': {**inside('list'), **inside('dict')},
    'shared': {
        'second frozen': of('freeze second'),
        'part and second frozen': of('freeze part', 'freeze second'),
        'part and second frozen, part thawed': of(
            'freeze part', 'freeze second', 'thaw part'
        ),
        'part and second frozen, second thawed': of(
            'freeze part', 'freeze second', 'thaw second'
        ),
        'part frozen, second thawed': of('freeze part', 'thaw second'),
        'second frozen, saved and loaded': of('freeze second', 'reload outer'),
        'part and second frozen, saved and loaded': of(
            'freeze part', 'freeze second', 'reload outer'
        ),
    },
    'subclass': inside('inner'),
    'extended_backbone': {
        'inner frozen': of('freeze inner'),
        'part frozen, inner thawed': of('freeze part', 'thaw inner'),
        'inner frozen, saved and loaded': of('freeze inner', 'reload outer'),
    },
    'gan': {
        'discriminator compiled, then frozen for the gan, taking turns': [
            'compile part',
            'freeze part',
            'assemble outer',
            'compile outer',
            *TAKING_TURNS,
        ],
        'discriminator compiled and trained, then frozen for the gan, taking turns': [
            'compile part',
            'train part',
            'freeze part',
            'assemble outer',
            'compile outer',
            *TAKING_TURNS,
        ],
        'discriminator thawed for its own steps, frozen for those of the gan': [
            'compile part',
            'assemble outer',
            'freeze part',
            'compile outer',
            *['thaw part', 'train part', 'freeze part', 'train outer'] * 2,
        ],
        'discriminator never frozen': [
            'compile part',
            'assemble outer',
            'compile outer',
            *TAKING_TURNS,
        ],
        'bns of the discriminator thawed in it for its own steps': [
            'compile part',
            'freeze part',
            'assemble outer',
            'compile outer',
            'thaw bns',
            'train part',
            'train outer',
        ],
    },
}


def applies(id, actions):
    if id == 'user_layer_late':
        # There is no norm to freeze before the outer model is made.
        return actions[0] != 'freeze bns'
    if id == 'extended_backbone':
        # The part is not in a model that was loaded.
        return 'reload outer' not in actions or 'part' not in ' '.join(
            actions[actions.index('reload outer') :]
        )
    if id == 'direct':
        # "bns" is the same as "part" here.
        return not any('bns' in action for action in actions)
    return True


def all_steps(name, structure, actions):
    """The steps on TensorFlow, and on Keras's other backends."""
    repeats.met = False
    steps = Run(name, structure).results(actions)
    if not repeats.met:
        return steps, steps
    repeats.pass_on = True
    elsewhere = Run(name, structure).results(actions)
    repeats.pass_on = False
    return steps, elsewhere


def all_cases():
    cases = []
    for id, structure in structures().items():
        for name, actions in {**TIMELINES, **MORE.get(id, {})}.items():
            if not applies(id, actions):
                continue
            steps, elsewhere = all_steps(f'{id}: {name}', structure, actions)
            cases.append(
                {
                    'name': name,
                    'structure': id,
                    'actions': actions,
                    'steps': steps,
                    **({} if elsewhere == steps else {'stepsElsewhere': elsewhere}),
                }
            )
    return cases


# The file.


def described(structure):
    run = Run('', structure)
    shape = [STEPS, FEATURES] if structure.sequences else [FEATURES]
    run.assemble('outer')
    return {
        'description': structure.description,
        'inputShape': shape,
        'targets': list(run.models()),
        'norms': list(run.norms()),
    }


def to_json(value, indent=0, before=0):
    """JSON that prettier leaves as it is: what fits into a line is in one."""
    line = one_line(value)
    items = list(value.values()) if isinstance(value, dict) else value
    is_list = isinstance(value, list)
    opened = is_list and len(items) > 1 and all(isinstance(i, dict) for i in items)
    fits = before + len(line) + len(',') <= LINE_WIDTH
    if not isinstance(value, (dict, list)) or (fits and not opened):
        return line
    inner = indent + 2
    keys = [''] * len(items) if is_list else [f'{json.dumps(key)}: ' for key in value]
    margin = ' ' * inner
    lines = [
        f'{margin}{key}{to_json(item, inner, inner + len(key))}'
        for key, item in zip(keys, items, strict=True)
    ]
    start, end = '[]' if is_list else '{}'
    return f'{start}\n' + ',\n'.join(lines) + f'\n{" " * indent}{end}'


def one_line(value):
    if isinstance(value, dict):
        items = [f'{json.dumps(key)}: {one_line(item)}' for key, item in value.items()]
        return '{' + ', '.join(items) + '}'
    if isinstance(value, list):
        return f'[{", ".join(one_line(item) for item in value)}]'
    return json.dumps(value)


def write(folder, packages):
    versions = {'python': platform.python_version()}
    for package in packages:
        versions[package] = importlib.metadata.version(package)
    cases = all_cases()
    content = {
        'source': 'freezing and thawing in Keras 3',
        'versions': versions,
        'structures': {id: described(s) for id, s in structures().items()},
        'cases': cases,
    }
    text = to_json(content) + '\n'
    json.loads(text)
    (folder / FILE).write_text(text)
    print(f'{FILE}: {len(cases)} cases, {math.ceil(len(text) / 1000)} kB')


if __name__ == '__main__':
    warnings.filterwarnings('ignore', 'The model does not have any trainable weights')
    warnings.filterwarnings('ignore', 'Skipping nested container')
    above = pathlib.Path(__file__).resolve().parent.parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else above
    write(folder, ['keras', 'tensorflow-cpu', 'numpy'])
