"""What mx.sym.np and mx.sym.npx compose: name → function of the package `mx`."""

import json


def a(mx):
    return mx.sym.var("a").as_np_ndarray()


def b(mx):
    return mx.sym.var("b").as_np_ndarray()


CASES = {
    "n.sum(a)": lambda mx: mx.sym.np.sum(a(mx)),
    "n.sum(a,axis=1,keepdims=True)": lambda mx: mx.sym.np.sum(a(mx), axis=1, keepdims=True),
    "a.sum()": lambda mx: a(mx).sum(),
    "a.sum(axis=(0,1))": lambda mx: a(mx).sum(axis=(0, 1)),
    "n.max(a)": lambda mx: mx.sym.np.max(a(mx)),
    "a.max()": lambda mx: a(mx).max(),
    "n.all(a)": lambda mx: mx.sym.np.all(a(mx)),
    "n.cumsum(a)": lambda mx: mx.sym.np.cumsum(a(mx)),
    "n.reshape(a,(2,-1))": lambda mx: mx.sym.np.reshape(a(mx), (2, -1)),
    "a.reshape(2,-1)": lambda mx: a(mx).reshape(2, -1),
    "n.transpose(a)": lambda mx: mx.sym.np.transpose(a(mx)),
    "a.transpose()": lambda mx: a(mx).transpose(),
    "a.T": lambda mx: a(mx).T,
    "n.squeeze(a)": lambda mx: mx.sym.np.squeeze(a(mx)),
    "n.dot(a,b)": lambda mx: mx.sym.np.dot(a(mx), b(mx)),
    "n.repeat(a,2)": lambda mx: mx.sym.np.repeat(a(mx), 2),
    "n.roll(a,1)": lambda mx: mx.sym.np.roll(a(mx), 1),
    "n.moveaxis(a,0,1)": lambda mx: mx.sym.np.moveaxis(a(mx), 0, 1),
    "n.trace(a)": lambda mx: mx.sym.np.trace(a(mx)),
    "n.diag(a)": lambda mx: mx.sym.np.diag(a(mx)),
    "n.copy(a)": lambda mx: mx.sym.np.copy(a(mx)),
    "n.atleast_1d(a,b)": lambda mx: mx.sym.np.atleast_1d(a(mx), b(mx)),
    "n.mean(a)": lambda mx: mx.sym.np.mean(a(mx)),
    "n.std(a)": lambda mx: mx.sym.np.std(a(mx)),
    "a.mean(axis=0)": lambda mx: a(mx).mean(axis=0),
    "n.argmax(a)": lambda mx: mx.sym.np.argmax(a(mx)),
    "a+1": lambda mx: a(mx) + 1,
    "a+1.5": lambda mx: a(mx) + 1.5,
    "1-a": lambda mx: 1 - a(mx),
    "a==b": lambda mx: a == b(mx),
    "a>1": lambda mx: a(mx) > 1,
    "-a": lambda mx: -a(mx),
    "a+b": lambda mx: a(mx) + b(mx),
    "a[0]": lambda mx: a(mx)[0],
    "a[0:2]": lambda mx: a(mx)[0:2],
    "a[:,1]": lambda mx: a(mx)[:, 1],
    "a[-1]": lambda mx: a(mx)[-1],
    "a.astype('float16')": lambda mx: a(mx).astype("float16"),
    "a.clip(0,1)": lambda mx: a(mx).clip(0, 1),
    "n.clip(a,None,1)": lambda mx: mx.sym.np.clip(a(mx), None, 1),
    "n.concatenate([a,b])": lambda mx: mx.sym.np.concatenate([a(mx), b(mx)]),
    "n.stack([a,b])": lambda mx: mx.sym.np.stack([a(mx), b(mx)]),
    "n.split(a,2)": lambda mx: mx.sym.np.split(a(mx), 2),
    "n.split(a,(1,3))": lambda mx: mx.sym.np.split(a(mx), (1, 3)),
    "n.hsplit(a,2)": lambda mx: mx.sym.np.hsplit(a(mx), 2),
    "n.zeros((2,3))": lambda mx: mx.sym.np.zeros((2, 3)),
    "n.ones(3)": lambda mx: mx.sym.np.ones(3),
    "n.zeros((2,),dtype='int32')": lambda mx: mx.sym.np.zeros((2,), dtype="int32"),
    "n.arange(3)": lambda mx: mx.sym.np.arange(3),
    "n.full((2,),1.5)": lambda mx: mx.sym.np.full((2,), 1.5),
    "n.full_like(a,2)": lambda mx: mx.sym.np.full_like(a(mx), 2),
    "n.ones_like(a)": lambda mx: mx.sym.np.ones_like(a(mx)),
    "n.where(a,b,b)": lambda mx: mx.sym.np.where(a(mx), b(mx), b(mx)),
    "n.where(a,1,b)": lambda mx: mx.sym.np.where(a(mx), 1, b(mx)),
    "n.where(a,1,2)": lambda mx: mx.sym.np.where(a(mx), 1, 2),
    "n.tensordot(a,b,2)": lambda mx: mx.sym.np.tensordot(a(mx), b(mx), 2),
    "n.tensordot(a,b,[1,2])": lambda mx: mx.sym.np.tensordot(a(mx), b(mx), [1, 2]),
    "n.einsum('ij,jk',a,b)": lambda mx: mx.sym.np.einsum("ij,jk", a(mx), b(mx)),
    "n.expand_dims(a,0)": lambda mx: mx.sym.np.expand_dims(a(mx), 0),
    "n.tile(a,2)": lambda mx: mx.sym.np.tile(a(mx), 2),
    "n.linspace(0,1,5)": lambda mx: mx.sym.np.linspace(0, 1, 5),
    "n.eye(3)": lambda mx: mx.sym.np.eye(3),
    "n.take(a,b)": lambda mx: mx.sym.np.take(a(mx), b(mx)),
    "n.take(a,b,axis=1)": lambda mx: mx.sym.np.take(a(mx), b(mx), axis=1),
    "n.swapaxes(a,0,1)": lambda mx: mx.sym.np.swapaxes(a(mx), 0, 1),
    "n.random.uniform(size=(2,))": lambda mx: mx.sym.np.random.uniform(size=(2,)),
    "n.random.normal(a,1)": lambda mx: mx.sym.np.random.normal(a(mx), 1),
    "n.random.randint(0,5,size=(2,))": lambda mx: mx.sym.np.random.randint(0, 5, size=(2,)),
    "n.linalg.norm(a)": lambda mx: mx.sym.np.linalg.norm(a(mx)),
    "n.linalg.svd(a)": lambda mx: mx.sym.np.linalg.svd(a(mx)),
    "n.matmul(a,b)": lambda mx: mx.sym.np.matmul(a(mx), b(mx)),
    "n.maximum(a,0)": lambda mx: mx.sym.np.maximum(a(mx), 0),
    "n.power(a,2)": lambda mx: mx.sym.np.power(a(mx), 2),
    "n.sin(a)": lambda mx: mx.sym.np.sin(a(mx)),
    "n.abs(a)": lambda mx: mx.sym.np.abs(a(mx)),
    "n.ravel(a)": lambda mx: mx.sym.np.ravel(a(mx)),
    "a.flatten()": lambda mx: a(mx).flatten(),
    "n.percentile(a,30)": lambda mx: mx.sym.np.percentile(a(mx), 30),
    "n.quantile(a,b)": lambda mx: mx.sym.np.quantile(a(mx), b(mx)),
    "n.unique(a)": lambda mx: mx.sym.np.unique(a(mx)),
    "n.average(a)": lambda mx: mx.sym.np.average(a(mx)),
    "n.average(a,weights=b)": lambda mx: mx.sym.np.average(a(mx), weights=b(mx)),
    "n.insert(a,1,2)": lambda mx: mx.sym.np.insert(a(mx), 1, 2),
    "n.delete(a,1)": lambda mx: mx.sym.np.delete(a(mx), 1),
    "n.diff(a)": lambda mx: mx.sym.np.diff(a(mx)),
    "n.flip(a)": lambda mx: mx.sym.np.flip(a(mx)),
    "n.flip(a,0)": lambda mx: mx.sym.np.flip(a(mx), 0),
    "n.rot90(a)": lambda mx: mx.sym.np.rot90(a(mx)),
    "n.around(a,1)": lambda mx: mx.sym.np.around(a(mx), 1),
    "n.nan_to_num(a)": lambda mx: mx.sym.np.nan_to_num(a(mx)),
    "n.broadcast_to(a,(2,3))": lambda mx: mx.sym.np.broadcast_to(a(mx), (2, 3)),
    "n.histogram(a,5,(0,1))": lambda mx: mx.sym.np.histogram(a(mx), 5, (0, 1)),
    "n.bincount(a)": lambda mx: mx.sym.np.bincount(a(mx)),
    "n.vstack([a,b])": lambda mx: mx.sym.np.vstack([a(mx), b(mx)]),
    "n.append(a,b)": lambda mx: mx.sym.np.append(a(mx), b(mx)),
    "n.argsort(a)": lambda mx: mx.sym.np.argsort(a(mx)),
    "n.sort(a)": lambda mx: mx.sym.np.sort(a(mx)),
    "n.indices((2,3))": lambda mx: mx.sym.np.indices((2, 3)),
    "n.hanning(4)": lambda mx: mx.sym.np.hanning(4),
    "n.logspace(1,2,3)": lambda mx: mx.sym.np.logspace(1, 2, 3),
    "n.identity(3)": lambda mx: mx.sym.np.identity(3),
    "n.inner(a,b)": lambda mx: mx.sym.np.inner(a(mx), b(mx)),
    "n.outer(a,b)": lambda mx: mx.sym.np.outer(a(mx), b(mx)),
    "n.array_split(a,2)": lambda mx: mx.sym.np.array_split(a(mx), 2),
    "n.tril(a)": lambda mx: mx.sym.np.tril(a(mx)),
    "n.polyval(a,b)": lambda mx: mx.sym.np.polyval(a(mx), b(mx)),
    "n.ediff1d(a)": lambda mx: mx.sym.np.ediff1d(a(mx)),
    "n.shares_memory(a,b)": lambda mx: mx.sym.np.shares_memory(a(mx), b(mx)),
    "n.diag_indices_from(a)": lambda mx: mx.sym.np.diag_indices_from(a(mx)),
    "n.lcm(a,2)": lambda mx: mx.sym.np.lcm(a(mx), 2),
    "n.bitwise_and(a,1)": lambda mx: mx.sym.np.bitwise_and(a(mx), 1),
    "x.relu(a)": lambda mx: mx.sym.npx.relu(a(mx)),
    "x.softmax(a)": lambda mx: mx.sym.npx.softmax(a(mx)),
    "x.softmax(a,axis=1)": lambda mx: mx.sym.npx.softmax(a(mx), axis=1),
    "x.fully_connected(a,b,num_hidden=3,no_bias=True)": lambda mx: mx.sym.npx.fully_connected(
        a(mx), b(mx), num_hidden=3, no_bias=True
    ),
    "x.reshape(a,(-1,))": lambda mx: mx.sym.npx.reshape(a(mx), (-1,)),
    "x.reshape_like(a,b)": lambda mx: mx.sym.npx.reshape_like(a(mx), b(mx)),
    "x.batch_norm(a)": lambda mx: mx.sym.npx.batch_norm(a(mx)),
    "x.activation(a,act_type='relu')": lambda mx: mx.sym.npx.activation(a(mx), act_type="relu"),
    "x.pick(a,b)": lambda mx: mx.sym.npx.pick(a(mx), b(mx)),
    "x.nonzero(a)": lambda mx: mx.sym.npx.nonzero(a(mx)),
    "x.random.bernoulli(0.5)": lambda mx: mx.sym.npx.random.bernoulli(0.5),
    "x.arange_like(a)": lambda mx: mx.sym.npx.arange_like(a(mx)),
    "x.one_hot(a,3)": lambda mx: mx.sym.npx.one_hot(a(mx), 3),
}


def shown(mx, function):
    """The nodes that are no variables: operator and attributes; or what is raised."""
    try:
        found = function(mx)
    except Exception as err:  # noqa: BLE001 - whatever it is, it is compared
        lines = str(err).strip().splitlines() or [""]
        return f"raises {type(err).__name__}: {lines[-1]}"
    symbols = list(found) if isinstance(found, (list, tuple)) else [found]
    kind = type(found).__name__ if isinstance(found, (list, tuple)) else ""
    nodes = json.loads(symbols[0].tojson())["nodes"]
    listed = [[n["op"], n["name"].rstrip("0123456789"), n.get("attrs", {})] for n in nodes if n["op"] != "null"]
    return [kind, len(symbols), type(symbols[0]).__name__, listed]
