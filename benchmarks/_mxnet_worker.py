"""The work that benchmarks/mxnet_layer.py has done by processes of its own: a case's name in, seconds out, line by line.

Run by the interpreter of the contender: "tensorkeep", "mxnet" (needs nothing of tensorkeep) or "torch".
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

Case = Callable[[], Any]


def eager(mx: Any) -> dict[str, Case]:
    """Calls on small arrays, where what counts is the call and not the work."""
    nd, np, npx, ag = mx.nd, mx.np, mx.npx, mx.autograd
    a, w, b, sums = nd.ones((32, 64)), nd.ones((32, 64)), nd.ones((32,)), nd.ones((32, 64))
    n, m, p = np.ones((32, 64)), np.ones((32, 64)), np.ones((64, 32))
    image, kernel = nd.ones((1, 3, 16, 16)), nd.ones((4, 3, 3, 3))
    ids, table, matrix = nd.array([1, 2, 3]), nd.ones((10, 8)), nd.ones((64, 32))
    variable = nd.ones((32, 64))
    variable.attach_grad()

    def inplace() -> None:
        nonlocal sums
        sums += 1

    def chain() -> None:
        with ag.record():
            head = (nd.tanh(variable * 2) + variable).sum()
        head.backward()

    return {
        "nd: a + b": lambda: a + w,
        "nd: a * 2": lambda: a * 2,
        "nd: a += 1": inplace,
        "nd: a > b": lambda: a > w,
        "nd.exp": lambda: nd.exp(a),
        "nd.sum(axis=1)": lambda: nd.sum(a, axis=1),
        "a.mean(axis=0)": lambda: a.mean(axis=0),
        "nd.dot": lambda: nd.dot(a, matrix),
        "nd.FullyConnected": lambda: nd.FullyConnected(a, w, b, num_hidden=32),
        "nd.Activation": lambda: nd.Activation(a, act_type="relu"),
        "nd.softmax": lambda: nd.softmax(a, axis=-1),
        "nd.Convolution": lambda: nd.Convolution(image, kernel, kernel=(3, 3), num_filter=4, no_bias=True),
        "nd.Pooling": lambda: nd.Pooling(image, kernel=(2, 2), stride=(2, 2), pool_type="max"),
        "nd.Embedding": lambda: nd.Embedding(ids, table, input_dim=10, output_dim=8),
        "nd.concat": lambda: nd.concat(a, w, dim=1),
        "a.reshape": lambda: a.reshape((64, 32)),
        "nd.transpose": lambda: nd.transpose(a, axes=(1, 0)),
        "a[3]": lambda: a[3],
        "a[2:5]": lambda: a[2:5],
        "nd.zeros": lambda: nd.zeros((32, 64)),
        "np: a + b": lambda: n + m,
        "np.exp": lambda: np.exp(n),
        "np.dot": lambda: np.dot(n, p),
        "np.sum(axis=1)": lambda: np.sum(n, axis=1),
        "a.astype": lambda: n.astype("float64"),
        "npx.relu": lambda: npx.relu(n),
        "record, backward": chain,
    }


def eager_in_torch(torch: Any) -> dict[str, Case]:
    """The same results with torch's own calls; a copy where MXNet's call gives one."""
    f = torch.nn.functional
    a, w, b, matrix = torch.ones(32, 64), torch.ones(32, 64), torch.ones(32), torch.ones(64, 32)
    image, kernel = torch.ones(1, 3, 16, 16), torch.ones(4, 3, 3, 3)
    ids, table, sums = torch.tensor([1.0, 2, 3]), torch.ones(10, 8), torch.ones(32, 64)
    variable = torch.ones(32, 64, requires_grad=True)

    def inplace() -> None:
        nonlocal sums
        sums += 1

    def chain() -> None:
        variable.grad = None
        (torch.tanh(variable * 2) + variable).sum().backward()

    return {
        "nd: a + b": lambda: a + w,
        "nd: a * 2": lambda: a * 2,
        "nd: a += 1": inplace,
        "nd: a > b": lambda: (a > w).float(),
        "nd.exp": lambda: torch.exp(a),
        "nd.sum(axis=1)": lambda: torch.sum(a, 1),
        "a.mean(axis=0)": lambda: a.mean(0),
        "nd.dot": lambda: torch.mm(a, matrix),
        "nd.FullyConnected": lambda: f.linear(a, w, b),
        "nd.Activation": lambda: torch.relu(a),
        "nd.softmax": lambda: torch.softmax(a, -1),
        "nd.Convolution": lambda: f.conv2d(image, kernel),
        "nd.Pooling": lambda: f.max_pool2d(image, 2),
        "nd.Embedding": lambda: f.embedding(ids.long(), table),
        "nd.concat": lambda: torch.cat([a, w], 1),
        "a.reshape": lambda: a.reshape(64, 32),
        "nd.transpose": lambda: a.permute(1, 0).contiguous(),
        "a[3]": lambda: a[3],
        "a[2:5]": lambda: a[2:5],
        "nd.zeros": lambda: torch.zeros(32, 64),
        "np: a + b": lambda: a + w,
        "np.exp": lambda: torch.exp(a),
        "np.dot": lambda: torch.mm(a, matrix),
        "np.sum(axis=1)": lambda: torch.sum(a, 1),
        "a.astype": lambda: a.to(torch.float64),
        "npx.relu": lambda: torch.relu(a),
        "record, backward": chain,
    }


NETWORKS = ("forward", "forward, hybridized", "training step", "training step, hybridized", "executor, batch 1")


def networks(mx: Any, batch: int, size: int) -> dict[str, Case]:
    """A resnet18_v1 of 1000 classes."""
    vision = __import__(f"{mx.__name__}.gluon.model_zoo.vision", fromlist=["vision"])
    plain, hybrid = (vision.resnet18_v1(classes=1000) for _ in range(2))
    data = mx.nd.random.uniform(-1, 1, (batch, 3, size, size))
    for net in (plain, hybrid):
        net.initialize()
    hybrid.hybridize(static_alloc=True, static_shape=True)

    def forward(net: Any) -> Case:
        return lambda: net(data).wait_to_read()

    def training(net: Any) -> Case:
        def step() -> None:
            with mx.autograd.record():
                head = net(data).sum()
            head.backward()
            mx.nd.waitall()

        return step

    for net in (plain, hybrid):
        forward(net)()
    one = mx.nd.random.uniform(-1, 1, (1, 3, size, size))
    with tempfile.TemporaryDirectory() as folder:
        hybrid.export(os.path.join(folder, "net"))
        symbol, args, aux = mx.model.load_checkpoint(os.path.join(folder, "net"), 0)
    executor = symbol.simple_bind(mx.cpu(), grad_req="null", data=one.shape)
    executor.copy_params_from(args, aux)
    made = [forward(plain), forward(hybrid), training(plain), training(hybrid)]
    return dict(zip(NETWORKS, [*made, lambda: executor.forward(data=one)[0].wait_to_read()], strict=True))


def networks_in_torch(torch: Any, batch: int, size: int) -> dict[str, Case]:
    """The same network written in torch."""
    nn = torch.nn

    def convolved(inside: int, outside: int, kernel: int, stride: int) -> list[Any]:
        made = nn.Conv2d(inside, outside, kernel, stride, kernel // 2, bias=False)
        return [made, nn.BatchNorm2d(outside)]

    class Residual(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self, inside: int, outside: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                *convolved(inside, outside, 3, stride), nn.ReLU(), *convolved(outside, outside, 3, 1)
            )
            self.short = nn.Sequential(*convolved(inside, outside, 1, stride)) if inside != outside else nn.Identity()

        def forward(self, x: Any) -> Any:
            return torch.relu(self.body(x) + self.short(x))

    widths = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
    blocks = [Residual(*each) for each in [*widths, (512, 512, 1)]]
    first = [*convolved(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    net = nn.Sequential(*first, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))
    data, one = torch.rand(batch, 3, size, size), torch.rand(1, 3, size, size)

    def forward(given: Any) -> Case:
        def run() -> None:
            net.eval()
            with torch.no_grad():
                net(given)

        return run

    def training() -> None:
        net.train()
        net.zero_grad()
        net(data).sum().backward()

    made = [forward(data), forward(data), training, training, forward(one)]
    return dict(zip(NETWORKS, made, strict=True))


def serve(contender: str, batch: int, size: int) -> None:
    """Answer each line of input, {"case", "repeat", "clock"}, with the seconds of one call: "wall" or "cpu"."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    if contender == "torch":
        import torch

        cases, wait = {**eager_in_torch(torch), **networks_in_torch(torch, batch, size)}, None
    else:
        mx = __import__("mxnet" if contender == "mxnet" else "tensorkeep.mxnet", fromlist=["nd"])
        cases, wait = {**eager(mx), **networks(mx, batch, size)}, mx.nd.waitall
    for line in sys.stdin:
        asked = json.loads(line)
        case, repeat = cases[asked["case"]], asked["repeat"]
        case()
        if wait:
            wait()
        now = time.process_time if asked["clock"] == "cpu" else time.perf_counter
        start = now()
        for _ in range(repeat):
            case()
        if wait:
            wait()
        print((now() - start) / repeat, file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
