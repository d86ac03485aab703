"""Pickles that would run code, or break the machine that reads them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tensorkeep.testing.hostile._case import Case

__all__ = ["breakers", "cases", "payloads", "runs", "text"]


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


# Callables of real exploits and of what known scanners overlook: (module, name, arguments; None for the shell command).
_CALLS: tuple[tuple[str, str, tuple[str, ...] | None], ...] = (
    ("os", "system", None),
    ("posix", "system", None),
    ("nt", "system", None),
    ("subprocess", "Popen", None),
    ("subprocess", "getoutput", None),
    ("commands", "getoutput", None),
    ("pty", "spawn", None),
    ("os", "popen", None),
    ("builtins", "eval", ("__import__('os').system({cmd!r})",)),
    ("__builtin__", "eval", ("__import__('os').system({cmd!r})",)),
    ("builtins", "exec", ("import os; os.system({cmd!r})",)),
    ("builtins", "__import__", ("this",)),
    ("builtins", "open", ("{sentinel}", "w")),
    ("io", "open", ("{sentinel}", "w")),
    ("_io", "FileIO", ("{sentinel}", "w")),
    ("builtins", "compile", ("1", "x", "eval")),
    ("builtins", "getattr", ("os", "system")),
    ("builtins", "globals", ()),
    ("builtins", "breakpoint", ()),
    ("importlib", "import_module", ("this",)),
    ("runpy", "run_module", ("this",)),
    ("runpy", "_run_code", ("1",)),
    ("pip", "main", ("install",)),
    ("pip._internal", "main", ("install",)),
    ("ensurepip", "bootstrap", ()),
    ("timeit", "timeit", ("__import__('os').system({cmd!r})",)),
    ("cProfile", "run", ("__import__('os').system({cmd!r})",)),
    ("profile", "run", ("__import__('os').system({cmd!r})",)),
    ("pdb", "run", ("__import__('os').system({cmd!r})",)),
    ("bdb", "Bdb", ()),
    ("code", "InteractiveInterpreter", ()),
    ("doctest", "debug_script", ("import os",)),
    ("trace", "Trace", ()),
    ("ctypes", "CDLL", ("libc.so.6",)),
    ("shutil", "rmtree", ("{sentinel}-folder",)),
    ("webbrowser", "open", ("http://127.0.0.1/",)),
    ("socket", "create_connection", ("127.0.0.1",)),
    ("http.client", "HTTPSConnection", ("127.0.0.1",)),
    ("urllib.request", "urlopen", ("http://127.0.0.1/",)),
    ("smtplib", "SMTP", ("127.0.0.1",)),
    ("functools", "partial", ("os",)),
    ("functools", "reduce", ("os",)),
    ("operator", "attrgetter", ("system",)),
    ("operator", "methodcaller", ("system",)),
    ("itertools", "starmap", ("os",)),
    ("types", "FunctionType", ("x",)),
    ("types", "CodeType", ("x",)),
    ("marshal", "loads", ("x",)),
    ("pickle", "loads", ("x",)),
    ("_pickle", "loads", ("x",)),
    ("cPickle", "loads", ("x",)),
    ("dill", "loads", ("x",)),
    ("cloudpickle", "loads", ("x",)),
    ("joblib", "load", ("x",)),
    ("shelve", "open", ("{sentinel}",)),
    ("sqlite3", "connect", ("{sentinel}",)),
    ("logging.config", "_resolve", ("os.system",)),
    ("logging.config", "listen", ()),
    ("multiprocessing.util", "spawnv_passfds", ("x",)),
    ("multiprocessing", "Process", ()),
    ("threading", "Thread", ()),
    ("asyncio.unix_events", "_UnixSubprocessTransport", ()),
    ("idlelib.run", "Executive", ("x",)),
    ("idlelib.pyshell", "ModifiedInterpreter", ("x",)),
    ("lib2to3.pgen2.pgen", "ParserGenerator", ("{sentinel}",)),
    ("lib2to3.pgen2.grammar", "Grammar", ()),
    ("distutils.file_util", "write_file", ("{sentinel}",)),
    ("distutils.spawn", "spawn", ("x",)),
    ("torch.hub", "load", ("x/y", "z")),
    ("torch", "load", ("{sentinel}",)),
    ("torch.serialization", "load", ("{sentinel}",)),
    ("torch.jit", "load", ("{sentinel}",)),
    ("torch.storage", "_load_from_bytes", ("x",)),
    ("torch._dynamo.guards", "GuardBuilder.get", ("x",)),
    ("torch._inductor.codecache", "compile_file", ("x",)),
    ("torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression", ("x",)),
    ("torch.utils.collect_env", "run", None),
    ("torch.utils._config_module", "ConfigModule.load_config", ("x",)),
    ("torch.utils.bottleneck.__main__", "run_autograd_prof", ("x",)),
    ("torch.distributed.rpc.internal", "_InternalRPCPickler.deserialize", ("x",)),
    ("torch.nn.modules.module", "Module.__setstate__", ("x",)),
    ("torch.nn.modules.linear", "Linear", ()),
    ("torch.utils.model_dump", "get_inline_skeleton", ()),
    ("numpy", "load", ("{sentinel}",)),
    ("numpy.testing._private.utils", "runstring", ("import os",)),
    ("numpy.f2py.crackfortran", "getlincoef", ("__import__('os').system({cmd!r})",)),
    ("numpy.f2py.crackfortran", "_eval_length", ("1",)),
    ("numpy.distutils.exec_command", "exec_command", None),
    ("numpy.core._internal", "_reconstruct", ("x",)),
    ("numpy", "vectorize", ("x",)),
    ("numpy", "fromfile", ("{sentinel}",)),
    ("numpy", "memmap", ("{sentinel}",)),
    ("numpy.core.multiarray", "fromstring", ("x",)),
    ("numpy.random._pickle", "__randomstate_ctor", ("x",)),
    ("pandas.io.pickle", "read_pickle", ("{sentinel}",)),
    ("sklearn.svm._classes", "SVC", ()),
    ("tensorflow.python.keras.models", "load_model", ("{sentinel}",)),
    ("mxnet.ndarray", "load", ("{sentinel}",)),
    ("mxnet.optimizer.optimizer", "create", ("sgd",)),
    ("mxnet.library", "load", ("{sentinel}",)),
    ("__main__", "main", ()),
    ("tensorkeep", "save", ("{sentinel}",)),
    ("collections", "namedtuple", ("a", "b")),
    ("collections", "UserDict", ()),
    ("copyreg", "_reconstructor", ("x",)),
    ("copy_reg", "__newobj__", ("x",)),
    ("codecs", "open", ("{sentinel}", "w")),
    ("_codecs", "decode", ("x", "hex")),
    ("_codecs", "register", ("x",)),
    ("uuid", "_get_command_stdout", ("x",)),
    ("site", "main", ()),
    ("linecache", "getline", ("{sentinel}",)),
    ("os.path", "join", ("a",)),
)


def payloads(sentinel: str) -> Iterator[tuple[str, bytes, str]]:
    """(name, pickle, why): each would run something when a plain unpickler loads it."""
    command = f"touch {sentinel}"
    for module, name, arguments in _CALLS:
        args = [command] if arguments is None else [a.format(cmd=command, sentinel=sentinel) for a in arguments]
        packed = b"(" + b"".join(map(text, args)) + b"t"
        code = b"\x80\x02c" + f"{module}\n{name}\n".encode() + packed + b"R."
        yield f"call-{module}.{name}", code, f"calls {module}.{name}"
    c, arg = b"cos\nsystem\n", text(command)
    short = command.encode()
    line = b"S'" + short + b"'\n"
    ways: dict[str, tuple[bytes, str]] = {
        "protocol-0": (c + b"(" + line + b"tR.", "GLOBAL and REDUCE as text"),
        "protocol-1": (c + b"(" + arg + b"tR.", "GLOBAL and REDUCE without a protocol"),
        "inst": (b"(" + line + b"ios\nsystem\n.", "INST"),
        "obj": (b"(" + c + line + b"o.", "OBJ"),
        "newobj": (b"\x80\x02csubprocess\nPopen\n" + arg + b"\x85\x81.", "NEWOBJ"),
        "newobj-ex": (b"\x80\x04csubprocess\nPopen\n" + arg + b"\x85}\x92.", "NEWOBJ_EX"),
        "stack-global": (b"\x80\x04" + text("os") + text("system") + b"\x93" + arg + b"\x85R.", "STACK_GLOBAL"),
        "stack-global-memo": (
            b"\x80\x04" + text("system") + b"\x940" + text("os") + b"\x940h\x01h\x00\x93" + arg + b"\x85R.",
            "STACK_GLOBAL with names out of the memo",
        ),
        "stack-global-short": (
            b"\x80\x04\x8c\x02os\x8c\x06system\x93" + arg + b"\x85R.",
            "STACK_GLOBAL, short strings",
        ),
        "stack-global-bytes": (b"\x80\x04C\x02osC\x06system\x93" + arg + b"\x85R.", "STACK_GLOBAL with bytes"),
        "stack-global-number": (b"\x80\x04K\x01K\x02\x93.", "STACK_GLOBAL with numbers"),
        "memo-of-function": (b"\x80\x02" + c + b"q\x000h\x00" + arg + b"\x85R.", "the function through the memo"),
        "hidden-by-pop": (b"\x80\x02" + c + arg + b"\x85R0N.", "a call whose result is thrown away"),
        "hidden-by-pop-mark": (b"\x80\x02(" + c + arg + b"\x85R1N.", "a call thrown away with a mark"),
        "hidden-in-list": (b"\x80\x02](" + c + arg + b"\x85Re.", "a call inside a list"),
        "hidden-as-key": (b"\x80\x02}" + c + arg + b"\x85RNs.", "a call as key of a dict"),
        "hidden-in-memo": (b"\x80\x02" + c + arg + b"\x85Rq\x050N.", "a call whose result only the memo keeps"),
        "broken-after": (b"\x80\x02" + c + arg + b"\x85R\xff\xff", "broken behind the call"),
        "cut-after": (b"\x80\x02" + c + arg + b"\x85R", "cut behind the call"),
        "second-pickle": (b"\x80\x02}.\x80\x02" + c + arg + b"\x85R.", "a second pickle behind the first"),
        "second-pickle-empty": (b"\x80\x02}.\x80\x02}.", "a second pickle behind the first, harmless"),
        "build": (b"\x80\x02cbuiltins\nobject\n)\x81}" + text("x") + b"K\x01sb.", "BUILD on an object"),
        "build-dict-of-function": (b"\x80\x02" + c + b"}" + text("__code__") + b"Nsb.", "BUILD on a function"),
        "build-setstate": (
            b"\x80\x02ccollections\nOrderedDict\n)R}" + text("__setstate__") + c + b"sb" + arg + b"b.",
            "BUILD that plants a __setstate__ and then calls it",
        ),
        "build-class": (b"\x80\x02ccollections\nOrderedDict\n}" + text("__init__") + c + b"sb.", "BUILD on a class"),
        "ext1": (b"\x80\x02\x82\x01.", "an extension code"),
        "ext2": (b"\x80\x02\x83\x01\x02.", "an extension code"),
        "ext4": (b"\x80\x02\x84\x01\x02\x03\x04.", "an extension code"),
        "persid": (b"Pos.system\n.", "a persistent id as text"),
        "binpersid": (b"\x80\x02" + arg + b"Q.", "a persistent id"),
        "next-buffer": (b"\x80\x05\x97.", "a buffer from outside"),
        "readonly-buffer": (b"\x80\x05\x97\x98.", "a read-only buffer from outside"),
        "dotted-name": (
            b"\x80\x04" + text("builtins") + text("str.format") + b"\x93" + arg + b"\x85R.",
            "a dotted name",
        ),
        "dotted-globals": (
            b"\x80\x04" + text("collections") + text("OrderedDict.__init__.__globals__") + b"\x93.",
            "a dotted name below an allowed one",
        ),
        "dotted-torch": (
            b"\x80\x04" + text("torch") + text("serialization.os.system") + b"\x93" + arg + b"\x85R.",
            "dotted",
        ),
        "dotted-numpy": (b"\x80\x04" + text("numpy") + text("ma.core.os.system") + b"\x93" + arg + b"\x85R.", "dotted"),
        "dotted-module": (b"\x80\x02ctorch.os\nsystem\n" + arg + b"\x85R.", "a module inside a module"),
        "dunder": (
            b"\x80\x04" + text("collections.OrderedDict") + text("__reduce__") + b"\x93)R.",
            "a class as module",
        ),
        "call-of-call": (
            b"\x80\x02cbuiltins\ngetattr\n" + c + text("__call__") + b"\x86R" + arg + b"\x85R.",
            "calls a result",
        ),
        "call-of-instance": (b"\x80\x02ccollections\nOrderedDict\n)R)R.", "calls what a call returned"),
        "reduce-on-string": (b"\x80\x02" + text("os") + arg + b"\x85R.", "calls a string"),
        "reduce-args-list": (b"\x80\x02ccollections\nOrderedDict\n]R.", "a list in the place of arguments"),
        "reduce-args-none": (b"\x80\x02ccollections\nOrderedDict\nNR.", "None in the place of arguments"),
        "encode-rot13": (
            b"\x80\x02c_codecs\nencode\n" + text("bf.flfgrz") + text("rot13") + b"\x86R.",
            "another codec",
        ),
        "encode-bytes": (b"\x80\x02c_codecs\nencode\n" + arg + b"N\x86R.", "encode without a codec"),
        "bytearray-huge": (b"\x80\x02c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.", "bytearray(2**31 - 1)"),
        "bytes-huge": (b"\x80\x02c__builtin__\nbytes\nJ\xff\xff\xff\x7f\x85R.", "bytes(2**31 - 1)"),
        "set-of-call": (b"\x80\x02c__builtin__\nset\n](" + c + arg + b"\x85Re\x85R.", "a set of calls"),
    }
    for name, (code, why) in ways.items():
        yield name, code, why


def breakers() -> Iterator[tuple[str, bytes, str]]:
    """(name, pickle, why): data only, but meant to exhaust or confuse the reader."""
    u32, u64 = struct.Struct("<I").pack, struct.Struct("<Q").pack
    tower = b"\x80\x02]q\x00" + b"".join(
        b"](" + b"h" + bytes([i]) + b"h" + bytes([i]) + b"eq" + bytes([i + 1]) for i in range(60)
    )
    keys = b"\x80\x02K\x01q\x00" + b"".join(
        b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86q" + bytes([i + 1]) for i in range(60)
    )
    codes: dict[str, tuple[bytes, str]] = {
        "laughs": (tower + b"h\x3c.", "lists of lists that double 60 times"),
        "hash-bomb": (keys + b"0}h\x3cNs.", "a key whose hash takes 2**60 steps"),
        "hash-bomb-set": (keys + b"0(h\x3c\x91.", "a frozen set of such a key"),
        "deep-lists": (b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".", "50,000 lists inside each other"),
        "deep-tuples": (b"\x80\x02)" + b"\x85" * 50_000 + b".", "50,000 tuples inside each other"),
        "deep-dicts": (
            b"\x80\x02" + b"}K\x01" * 20_000 + b"N" + b"s" * 20_000 + b".",
            "20,000 dicts inside each other",
        ),
        "deep-marks": (b"\x80\x02" + b"(" * 100_000 + b"N" + b"t" * 100_000 + b".", "100,000 marks"),
        "itself": (b"\x80\x02]q\x00h\x00a.", "a list that contains itself"),
        "itself-dict": (b"\x80\x02}q\x00K\x01h\x00s.", "a dict that contains itself"),
        "itself-tuple": (b"\x80\x02]q\x00h\x00\x85a.", "a list inside a tuple inside the list"),
        "dup": (b"\x80\x02]" + b"2" * 100_000 + b"t.", "100,000 copies and no mark"),
        "memo-missing": (b"\x80\x02h\x07.", "a memo entry that was never made"),
        "memo-missing-long": (b"\x80\x02j\xff\xff\xff\xff.", "memo entry 2**32 - 1"),
        "memo-huge": (b"\x80\x02Nr\xff\xff\xff\xff.", "put at memo 2**32 - 1"),
        "memo-put-text": (b"Np99999999999999999999\n.", "put at memo 10**20"),
        "memo-put-negative": (b"Np-1\n.", "put at memo -1"),
        "memo-put-word": (b"Npx\n.", "put at memo x"),
        "memo-get-text": (b"g999\n.", "get memo 999"),
        "memoize-nothing": (b"\x80\x04\x94.", "MEMOIZE with an empty stack"),
        "set-on-list": (b"\x80\x02]K\x01K\x02s.", "SETITEM on a list"),
        "set-on-tuple": (b"\x80\x02)K\x01K\x02s.", "SETITEM on a tuple"),
        "set-on-string": (b"\x80\x02" + text("x") + b"K\x01K\x02s.", "SETITEM on a string"),
        "setitems-on-list": (b"\x80\x02](K\x01K\x02u.", "SETITEMS on a list"),
        "setitems-odd": (b"\x80\x02}(K\x01K\x02K\x03u.", "SETITEMS with an odd number of values"),
        "append-on-dict": (b"\x80\x02}K\x01a.", "APPEND on a dict"),
        "append-on-none": (b"\x80\x02NK\x01a.", "APPEND on None"),
        "appends-on-tuple": (b"\x80\x02)(K\x01e.", "APPENDS on a tuple"),
        "additems-on-list": (b"\x80\x04](K\x01\x90.", "ADDITEMS on a list"),
        "build-on-number": (b"\x80\x02K\x01}b.", "BUILD on a number"),
        "key-list": (b"\x80\x02}]Ns.", "a list as key"),
        "key-dict": (b"\x80\x02}}Ns.", "a dict as key"),
        "key-float": (b"\x80\x02}G\x7f\xf8\0\0\0\0\0\0Ns.", "NaN as key"),
        "key-none": (b"\x80\x02}NNs.", "None as key"),
        "frame-beyond": (b"\x80\x04\x95" + u64(1000) + b"N.", "a frame beyond the file"),
        "frame-huge": (b"\x80\x04\x95" + u64(2**63) + b"N.", "a frame of 2**63 bytes"),
        "frame-splits": (b"\x80\x04\x95" + u64(2) + text("abc") + b".", "a frame that ends inside an opcode"),
        "frame-in-frame": (b"\x80\x04\x95" + u64(12) + b"\x95" + u64(2) + b"N.", "a frame inside a frame"),
        "unicode-beyond": (b"\x80\x02X" + u32(2**32 - 1) + b"a.", "a string of 2**32 - 1 bytes"),
        "unicode8-beyond": (b"\x80\x04\x8d" + u64(2**63 - 1) + b"a.", "a string of 2**63 - 1 bytes"),
        "bytes8-beyond": (b"\x80\x04\x8e" + u64(2**40) + b"a.", "2**40 bytes"),
        "bytearray8-beyond": (b"\x80\x05\x96" + u64(2**62) + b"a.", "a bytearray of 2**62 bytes"),
        "string-negative": (b"\x80\x02T\xff\xff\xff\xffa.", "a string of -1 bytes"),
        "long4-negative": (b"\x80\x02\x8b\xff\xff\xff\xff.", "an integer of -1 bytes"),
        "long4-beyond": (b"\x80\x02\x8b\xff\xff\xff\x7fa.", "an integer of 2**31 - 1 bytes"),
        "long1-beyond": (b"\x80\x02\x8a\xffa.", "an integer beyond the file"),
        "int-digits": (b"I" + b"9" * 200_000 + b"\n.", "an integer of 200,000 digits"),
        "long-digits": (b"L" + b"9" * 200_000 + b"L\n.", "an integer of 200,000 digits"),
        "int-word": (b"Ix\n.", "an integer that is none"),
        "int-underscore": (b"I1_0\n.", "an integer with an underscore"),
        "float-word": (b"Fx\n.", "a float that is none"),
        "string-unquoted": (b"Sabc\n.", "a string without quotes"),
        "string-half-quoted": (b"S'\n.", "half a pair of quotes"),
        "string-escape": (b"S'\\x'\n.", "a broken escape"),
        "unicode-escape": (b"V\\u12\n.", "a broken escape"),
        "unicode-bad": (b"\x80\x02X\x02\0\0\0\xff\xfe.", "no UTF-8"),
        "global-without-newline": (b"\x80\x02cos", "GLOBAL without its lines"),
        "global-not-utf8": (b"\x80\x02c\xff\n\xfe\n.", "GLOBAL with names that are no UTF-8"),
        "global-empty": (b"\x80\x02c\n\n.", "GLOBAL with empty names"),
        "global-nul": (b"\x80\x02cos\0\nsystem\n.", "GLOBAL with a zero byte"),
        "global-long": (b"\x80\x02c" + b"a." * 100_000 + b"\nb\n.", "a module of 200,000 characters"),
        "protocol-99": (b"\x80\x63N.", "protocol 99"),
        "protocol-inside": (b"\x80\x02\x80\x05N.", "PROTO in the middle"),
        "nothing": (b"\x80\x02.", "STOP with an empty stack"),
        "too-much": (b"\x80\x02NN.", "two values on the stack at STOP"),
        "mark-at-stop": (b"\x80\x02N(.", "an open mark at STOP"),
        "no-stop": (b"\x80\x02N", "no STOP"),
        "only-protocol": (b"\x80\x02", "nothing behind the protocol"),
        "opcode-unknown": (b"\x80\x02\xffN.", "an opcode that does not exist"),
        "trailing-bytes": (b"\x80\x02N.rubbish", "bytes behind STOP"),
    }
    for name, (code, why) in codes.items():
        yield name, code, why
    for opcode in range(256):
        if opcode not in b").N]}\x88\x89\x8f":
            yield (
                f"alone-{opcode:02x}",
                b"\x80\x04" + bytes([opcode]) + b"\0\0\0\0.",
                f"opcode 0x{opcode:02x} on an empty stack",
            )


# Refused, but what they name can do nothing elsewhere: it only builds data, fails, or needs another file's objects.
_ONLY_DATA = {
    "build",
    "persid",
    "binpersid",
    "call-of-instance",
    "encode-rot13",
    "encode-bytes",
    "bytearray-huge",
    "bytes-huge",
}
_ONLY_DATA |= {"second-pickle-empty", "call-copyreg._reconstructor", "readonly-buffer", "next-buffer"}


def runs(name: str) -> bool:
    """Whether the payload of that name runs something when a plain unpickler loads it."""
    return name not in _ONLY_DATA


_HARMLESS = {
    "too-much",
    "mark-at-stop",
    "protocol-inside",
    "itself",
    "itself-dict",
    "itself-tuple",
    "key-float",
    "key-none",
    "laughs",
}


def cases(sentinel: str) -> Iterator[Case]:
    """Pickles as files of their own, under the suffixes that people give them."""
    suffixes = (".pkl", ".states", ".pt", ".bin")
    for i, (name, code, why) in enumerate(payloads(sentinel)):
        yield Case(f"pickle/{name}", f"x{suffixes[i % len(suffixes)]}", code, why, inert=True, runs=runs(name))
    for name, code, why in breakers():
        alone = name.startswith("alone-")
        yield Case(f"pickle/{name}", "x.pkl", code, why, harmless=alone or name in _HARMLESS, inert=True)
