"""Metrics to compute: what real MXNet 1.9.1 and tensorkeep both do with the same batches. Needs NumPy only."""

import zlib

import numpy as np


def values(key, kind):
    """Three batches of (label, prediction)."""
    rng = np.random.RandomState(zlib.crc32(key.encode()))
    batches = []
    for rows in (6, 5, 7):
        if kind in ("classes", "two", "sequence"):
            classes = 2 if kind == "two" else 4
            p = rng.uniform(0.01, 1, size=(rows, classes))
            label = rng.randint(0, classes, size=(rows,))
            if kind == "sequence":
                p = rng.uniform(0.01, 1, size=(rows, 3, classes))
                label = rng.randint(0, classes, size=(rows, 3))
            batches.append((label, p / p.sum(-1, keepdims=True)))
        elif kind == "same":
            batches.append((rng.randint(0, 5, size=(rows,)), rng.randint(0, 5, size=(rows,))))
        else:
            shape = (rows,) if kind == "vector" else (rows, 3)
            batches.append((rng.normal(size=shape), rng.normal(size=shape)))
    return [(label.astype("float32"), pred.astype("float32")) for label, pred in batches]


def squared(label, pred):
    return ((label - pred) ** 2).sum(), label.size


CASES = [
    ("acc", {}, "classes"), ("accuracy", {}, "same"), ("acc", {"axis": 2, "name": "mine"}, "sequence"),
    ("top_k_accuracy", {"top_k": 2}, "classes"), ("top_k_acc", {"top_k": 3}, "classes"),
    ("top_k_accuracy", {"top_k": 1}, "classes"),
    ("f1", {}, "two"), ("f1", {"average": "micro"}, "two"), ("f1", {}, "classes"),
    ("mcc", {}, "two"), ("mcc", {"average": "micro"}, "two"),
    ("perplexity", {"ignore_label": None}, "classes"), ("perplexity", {"ignore_label": 0}, "classes"),
    ("mae", {}, "vector"), ("mae", {}, "matrix"), ("mse", {}, "vector"), ("rmse", {}, "matrix"), ("rmse", {}, "vector"),
    ("ce", {}, "classes"), ("cross-entropy", {}, "classes"), ("crossentropy", {"eps": 1e-3}, "classes"),
    ("nll_loss", {}, "classes"), ("negativeloglikelihood", {}, "classes"),
    ("pearsonr", {}, "vector"), ("pearsoncorrelation", {"average": "micro"}, "matrix"), ("pearsonr", {}, "classes"),
    ("pcc", {}, "classes"), ("pcc", {}, "two"), ("pcc", {}, "same"),
    ("loss", {}, "matrix"), ("torch", {}, "matrix"), ("caffe", {}, "matrix"),
    ("nonesuch", {}, "matrix"),
    (["acc", "ce"], {}, "classes"),
    (squared, {}, "matrix"),
]  # fmt: skip


def key_of(case):
    name, kwargs, kind = case
    name = getattr(name, "__name__", None) or str(name)
    return f"{name}{kwargs}|{kind}"


def run(mx, case):
    """What get(), get_global(), str and get_config() give on the way; or the type and text of the refusal."""
    name, kwargs, kind = case
    steps = []
    try:
        metric = mx.metric.create(name, **kwargs)
        steps.append(plain(metric.get()))
        for i, (label, pred) in enumerate(values(key_of(case), kind)):
            metric.update([mx.nd.array(label)], [mx.nd.array(pred)])
            steps += [plain(metric.get()), plain(metric.get_name_value()), plain(metric.get_global_name_value())]
            if i == 1:
                metric.reset_local()
                steps.append(plain(metric.get()))
        metric.reset()
        steps.append(plain(metric.get()))
        if not callable(name):
            steps.append(plain(metric.get_config()))
    except (AssertionError, ValueError) as err:
        steps.append([type(err).__name__, str(err)])
    return steps


def plain(value):
    """The same in JSON's words; NaN as text."""
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return "nan" if np.isnan(value) else float(value)
    return int(value) if isinstance(value, np.integer) else value
