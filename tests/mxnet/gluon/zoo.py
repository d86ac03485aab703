"""The networks of gluon.model_zoo: the same lines run with real MXNet 1.9.1 and with tensorkeep.mxnet."""

from __future__ import annotations

from typing import Any

import numpy as np

SIZES = {"inceptionv3": 299, "squeezenet1.0": 224, "squeezenet1.1": 224}
"""Least sizes of images, where 64 is too small; densenets need 224 as well."""
COMPUTED = {
    "alexnet": 64, "vgg11": 32, "vgg11_bn": 32, "resnet18_v1": 64, "resnet18_v2": 64, "resnet50_v1": 64,
    "resnet50_v2": 64, "mobilenet0.25": 64, "mobilenetv2_0.25": 64, "squeezenet1.1": 224, "densenet121": 224,
    "inceptionv3": 299,
}  # fmt: skip
"""One of each family, or two, and the size of the images that it computes."""


def size(name: str) -> int:
    return 224 if name.startswith("densenet") else SIZES.get(name, 64)


def shapes(mx: Any, name: str) -> list[list[Any]]:
    """[name, structural name, shape] of every Parameter."""
    with mx.name.NameManager():
        net = mx.gluon.model_zoo.vision.get_model(name)
    net.infer_shape(mx.nd.zeros((1, 3, size(name), size(name))))
    paths = {id(param): path for path, param in net._collect_params_with_prefix().items()}
    return [[key, paths[id(param)], list(param.shape)] for key, param in net.collect_params().items()]


def computed(mx: Any, name: str) -> np.ndarray:
    """The output for an image, from Parameters that depend on their place only."""
    with mx.name.NameManager():
        net = mx.gluon.model_zoo.vision.get_model(name, classes=10)
    net.initialize(init="zeros")
    side = COMPUTED[name]
    data = np.random.RandomState(1).uniform(-1, 1, (1, 3, side, side)).astype(np.float32)
    net.infer_shape(mx.nd.array(data))
    for i, param in enumerate(net.collect_params().values()):
        random = np.random.RandomState(i)
        if param.name.endswith(("gamma", "var")):
            values = random.uniform(0.5, 1.5, param.shape).astype(np.float32)
        else:
            fan_in = max(1, int(np.prod(param.shape[1:])))
            some = random.uniform(-1, 1, 4099) * np.sqrt(3 / fan_in)  # a prime: rows begin elsewhere each time
            values = np.resize(some.astype(np.float32), param.shape)
        param._finish_deferred_init()
        param.set_data(mx.nd.array(values))
    return net(mx.nd.array(data)).asnumpy()
