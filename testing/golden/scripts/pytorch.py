"""torch.nn.BatchNorm1d, 2d and 3d of PyTorch, on the CPU."""

import numpy as np
import torch

from cases import Data, record, write

torch.set_num_threads(1)

NAMES = {
    'weight': 'gamma',
    'bias': 'beta',
    'running_mean': 'moving_mean',
    'running_var': 'moving_variance',
    'num_batches_tracked': 'num_batches_tracked',
}
MODULES = {
    2: torch.nn.BatchNorm1d,
    3: torch.nn.BatchNorm1d,
    4: torch.nn.BatchNorm2d,
    5: torch.nn.BatchNorm3d,
}


class TorchPeer:
    def __init__(self, module, frozen, learning_rate, weights):
        self.module = module
        self.frozen = frozen
        with torch.no_grad():
            for name, value in self.module.state_dict().items():
                if NAMES[name] in weights:
                    value.copy_(torch.from_numpy(weights[NAMES[name]]))
        parameters = list(module.parameters())
        self.optimizer = (
            torch.optim.SGD(parameters, learning_rate) if parameters else None
        )

    def step(self, batch):
        self.module.train(not self.frozen)
        self.module.zero_grad()
        x = torch.from_numpy(batch.x).requires_grad_()
        y = self.module(x)
        y.backward(torch.from_numpy(batch.dy))
        result = {'y': y.detach().numpy(), 'dx': x.grad.numpy()}
        for name, parameter in self.module.named_parameters():
            result[f'd{NAMES[name]}'] = parameter.grad.numpy().copy()
        if self.optimizer is not None:
            self.optimizer.step()
        return result

    def infer(self, x):
        self.module.eval()
        with torch.no_grad():
            return self.module(torch.from_numpy(x)).numpy()

    def weights(self):
        state = {
            NAMES[name]: value.numpy() for name, value in self.module.state_dict().items()
        }
        if self.module.momentum is not None:
            # Counted without being used; ResBatchNorm has it where it is used.
            state.pop('num_batches_tracked', None)
        return {name: np.array(value) for name, value in state.items()}


def case(
    name,
    shapes,
    momentum=0.1,
    affine=True,
    track_running_stats=True,
    frozen=False,
    learning_rate=0,
    mean=0.0,
    eps=1e-5,
):
    """frozen: the module is in eval mode in the steps, too."""
    data = Data(f'pytorch {name}', axis=1, mean=mean)
    rank, channels = len(shapes[0]), shapes[0][1]
    module = MODULES[rank](channels, eps, momentum, affine, track_running_stats)
    layer = {'axis': 1, 'epsilon': eps, 'center': affine, 'scale': affine}
    if track_running_stats:
        # The weight of the old value; PyTorch's momentum is that of the new one.
        layer['momentum'] = None if momentum is None else round(1 - momentum, 6)
        layer['unbiasedMovingVariance'] = True
    else:
        layer['trackMovingStatistics'] = False
    if frozen:
        layer['trainable'] = False
    weights = data.weights(channels)
    return record(
        name,
        layer=layer,
        peer=TorchPeer(module, frozen, learning_rate, weights),
        batches=data.batches(*shapes),
        inference_x=data.x(shapes[-1]),
        learning_rate=learning_rate,
    )


write(
    'pytorch.json',
    'torch.nn.BatchNorm1d, BatchNorm2d and BatchNorm3d of PyTorch',
    ['torch', 'numpy'],
    [
        case('BatchNorm1d, rank 2', [[6, 3]] * 5),
        case('BatchNorm1d, rank 2, trained', [[6, 3]] * 5, learning_rate=0.1),
        case('BatchNorm1d, rank 3', [[4, 3, 4]] * 3, learning_rate=0.1),
        case('BatchNorm2d', [[4, 3, 2, 2]] * 3),
        case('BatchNorm2d, trained', [[4, 3, 2, 2]] * 5, learning_rate=0.1),
        case('BatchNorm3d', [[2, 3, 2, 2, 2]] * 3, learning_rate=0.1),
        case('eps=0.001, momentum=0.3', [[4, 3, 2, 2]] * 3, momentum=0.3, eps=0.001),
        case('mean far from 0', [[4, 3, 2, 2]] * 3, mean=20, learning_rate=0.1),
        case(
            'momentum=None, rank 2, unequal batches',
            [[6, 3], [2, 3], [4, 3], [8, 3], [3, 3]],
            momentum=None,
            learning_rate=0.1,
        ),
        case('momentum=None, rank 4', [[4, 3, 2, 2]] * 5, momentum=None),
        case('momentum=None, mean far from 0', [[6, 3]] * 3, momentum=None, mean=20),
        case('affine=False, rank 2', [[6, 3]] * 3, affine=False),
        case('affine=False, rank 4', [[4, 3, 2, 2]] * 3, affine=False),
        case('affine=False, momentum=None', [[4, 3, 4]] * 3, affine=False, momentum=None),
        case(
            'track_running_stats=False',
            [[6, 3]] * 3,
            track_running_stats=False,
            learning_rate=0.1,
        ),
        case(
            'track_running_stats=False, rank 4, affine=False',
            [[4, 3, 2, 2]] * 3,
            track_running_stats=False,
            affine=False,
        ),
        case('eval mode in training', [[4, 3, 2, 2]] * 3, frozen=True, learning_rate=0.1),
        case('eval mode in training, rank 2', [[6, 3]] * 3, frozen=True, affine=False),
    ],
)
