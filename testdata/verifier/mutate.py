"""Misreads the page on purpose, one clause at a time, and looks whether the vectors notice.

    python3 testdata/verifier/mutate.py [--every N] [--jobs N] [--only protocol.py] [testdata]

Each mutant is protocol.py or rules.py with one place changed: a comparison, a number, a text, an operator, a check or an
assignment left out. It runs over all vectors and is noticed if any fails. The lines of mutate.txt name mutants that can't be
told apart from the right reading, with the reason. Prints those that live on and shouldn't, and `N of N noticed`; ends with 1
below 95 %."""

import ast
import contextlib
import io
import os
import pathlib
import signal
import sys
import types

HERE = pathlib.Path(__file__).resolve().parent
FILES = ("protocol.py", "rules.py")
GOAL = 0.95
TIMEOUT_S = 300
COMPARISONS = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.In: (" in ", " not in "),
    ast.NotIn: (" not in ", " in "),
    ast.Is: (" is ", " is not "),
    ast.IsNot: (" is not ", " is "),
}
OPERATORS = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "+"), ast.FloorDiv: ("//", "*")}
NAMES = {"min": "max", "max": "min", "True": "False", "False": "True"}


class Source:
    """A file and where its nodes stand."""

    def __init__(self, name):
        self.name, self.text = name, (HERE / name).read_text()
        starts = [0]
        for line in self.text.encode().splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        self.starts, self.raw = starts, self.text.encode()

    def span(self, node):
        return self.starts[node.lineno - 1] + node.col_offset, self.starts[node.end_lineno - 1] + node.end_col_offset

    def replaced(self, start, end, new):
        return (self.raw[:start] + new.encode() + self.raw[end:]).decode()


def mutants(source):
    """Each mutant of a file: (line, what is changed into what, the text)."""
    tree = ast.parse(source.text)
    for node in meant(tree):
        for start, end, new in changes(source, node):
            old = source.raw[start:end].decode()
            line = source.raw[:start].count(b"\n") + 1
            yield f"{source.name}: {whole_line(source, line)}: {old.strip()} -> {new.strip()}", source.replaced(
                start, end, new
            )


def meant(tree):
    """The nodes that say something of the protocol: no docstrings, decorators, defaults of fields."""
    for node in ast.iter_child_nodes(tree):
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_default = isinstance(node, ast.AnnAssign) and isinstance(tree, ast.ClassDef) and tree.name != "Network"
        is_decorator = node in getattr(tree, "decorator_list", [])
        if not (is_docstring or is_default or is_decorator):
            yield node
            yield from meant(node)


def whole_line(source, line):
    return " ".join(source.text.splitlines()[line - 1].split())


def between(source, left, right, old, new):
    """The place of an operator between two nodes."""
    start, end = source.span(left)[1], source.span(right)[0]
    at = source.raw.find(old.strip().encode(), start, end)
    if at >= 0:
        yield at, at + len(old.strip()), new.strip()


def changes(source, node):
    if isinstance(node, ast.Compare):
        left = node.left
        for operator, right in zip(node.ops, node.comparators):
            yield from between(source, left, right, *COMPARISONS[type(operator)])
            left = right
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield from between(source, node.left, node.right, *OPERATORS[type(node.op)])
    if isinstance(node, ast.BoolOp):
        pair = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for left, right in zip(node.values, node.values[1:]):
            yield from between(source, left, right, *pair)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        start, end = source.span(node)
        yield start, source.span(node.operand)[0], ""
    if isinstance(node, ast.Constant):
        yield from constants(source, node)
    if isinstance(node, ast.Name) and node.id in NAMES:
        yield (*source.span(node), NAMES[node.id])
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield (*source.span(node), "pass")
    if isinstance(node, (ast.Assign, ast.AugAssign)) and is_effect(node):
        yield (*source.span(node), "pass")


def is_effect(node):
    """Whether an assignment changes something that others see."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    parts = [part for target in targets for part in getattr(target, "elts", [target])]
    return isinstance(node, ast.AugAssign) or all(isinstance(part, (ast.Attribute, ast.Subscript)) for part in parts)


def constants(source, node):
    start, end = source.span(node)
    if isinstance(node.value, bool):
        yield start, end, str(not node.value)
    elif isinstance(node.value, int):
        for value in {node.value + 1, max(node.value - 1, 0)} - {node.value}:
            yield start, end, str(value)
    elif isinstance(node.value, str) and "\n" not in node.value and len(node.value) < 40 and source.raw[start:start+1] in b"\"'":
        yield start, end, repr(node.value + "x")


class Warm:
    """What takes time, remembered from one mutant to the next."""

    def __init__(self):
        sys.path.insert(0, str(HERE))
        import argon2.low_level as argon
        import ed25519

        self.remember(argon, "hash_secret_raw")
        self.remember(ed25519, "verify")

    def remember(self, module, name):
        real, known = getattr(module, name), {}

        def remembered(*arguments, **named):
            key = arguments, tuple(sorted(named.items()))
            if key not in known:
                known[key] = real(*arguments, **named)
            return known[key]

        setattr(module, name, remembered)


def run(texts, testdata):
    """Whether all vectors agree with these sources."""
    for name in ("protocol", "rules", "verify"):
        sys.modules.pop(name, None)
    for name in ("protocol", "rules", "verify"):
        module = types.ModuleType(name)
        module.__file__ = str(HERE / f"{name}.py")
        sys.modules[name] = module
        text = texts.get(f"{name}.py") or (HERE / f"{name}.py").read_text()
        exec(compile(text, f"{name}.py", "exec"), module.__dict__)
    try:
        sys.modules["verify"].main(["--first", str(testdata)])
    except SystemExit as end:
        return end.code == 0
    return True


def is_noticed(name, text, testdata):
    """Runs one mutant in a process of its own."""
    child = os.fork()
    if child == 0:
        signal.alarm(TIMEOUT_S)
        sys.setrecursionlimit(3000)
        verdict = 1
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                verdict = 0 if run({name: text}, testdata) else 1
            except BaseException:  # A mutant may do anything; whatever it raises, it is noticed.
                verdict = 1
        os._exit(verdict)
    return child


def expected():
    """The mutants that nothing can tell from the right reading."""
    lines = (HERE / "mutate.txt").read_text().splitlines() if (HERE / "mutate.txt").exists() else []
    return {line for line in lines if line and not line.startswith("#")}


def main(arguments):
    options = {"--every": 1, "--jobs": os.cpu_count() or 1, "--only": ""}
    while arguments and arguments[0] in options:
        options[arguments[0]] = type(options[arguments[0]])(arguments[1])
        arguments = arguments[2:]
    testdata = pathlib.Path(arguments[0]) if arguments else HERE.parent
    Warm()
    with contextlib.redirect_stdout(io.StringIO()) as said:
        if not run({}, testdata):
            sys.exit(f"the vectors do not agree as it is: {said.getvalue()}")
    every = [(file, *mutant) for file in FILES if options["--only"] in file for mutant in mutants(Source(file))]
    same = expected()
    chosen = [mutant for mutant in every[:: options["--every"]] if mutant[1] not in same]
    noticed, lived, running = 0, [], {}
    queue = list(chosen)
    while queue or running:
        while queue and len(running) < options["--jobs"]:
            file, what, text = queue.pop(0)
            running[is_noticed(file, text, testdata)] = what
        child, status = os.wait()
        what = running.pop(child)
        if status == 0:
            lived.append(what)
            print(f"LIVES {what}", flush=True)
        else:
            noticed += 1
    print(f"{noticed} of {len(chosen)} noticed, {len(same)} can't be")
    sys.exit(0 if noticed >= GOAL * len(chosen) else 1)


if __name__ == "__main__":
    main(sys.argv[1:])
