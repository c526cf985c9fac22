"""Random notebooks: statements over a few names, so that they meet each other in every way."""

from __future__ import annotations

import re
from typing import Any

from hypothesis import strategies as st

POOLS = {
    "A": ("a", "b", "c"),
    "D": ("d", "e"),
    "U": ("u", "v", "w"),
    "F": ("df", "dg"),
    "N": ("n", "m", "k"),
    "G": ("f", "g"),
    "C": ("P", "Q"),
    "O": ("o", "p"),
    "I": ("it", "jt"),
    "R": ("r", "s"),
    "T": ("x.txt", "y.txt"),
    "1": ("1", "2", "5"),
}
START = (
    "import os, random\nimport numpy as np\nimport pandas as pd\nfrom pathlib import Path",
    "n = 1\nm = 2\nk = 3",
    "a = [1, 2]\nb = [3]\nc = [a]",
    "d = {'x': [0]}\ne = {'x': b}",
    "u = np.arange(4.0)\nv = u[:2]\nw = np.ones((2, 2))",
    "df = pd.DataFrame({'p': [1, 2], 'q': [3.0, 4.0]})\ndg = df",
    "def f():\n    return n\ndef g():\n    a.append(m)\n    return k",
    "class P:\n    s = a\n    def go(self):\n        self.z = n\n        return self.s\nclass Q(P):\n    pass",
    "o = P()\np = Q()",
    "it = iter([1, 2, 3])\njt = (i for i in [4, 5])",
    "r = np.random.default_rng(1)\ns = r",
    "random.seed(1)\nnp.random.seed(1)",
)
TEMPLATES = (
    "@N = @1",
    "@N = @N + @1",
    "@N += 1",
    "@N = len(@A)",
    "@A = [@N, @1]",
    "@A = @A",
    "@A.append(@N)",
    "@A[0] = @N",
    "@A += [@N]",
    "@A = @A + [1]",
    "@A = [@A, @1]",
    "@A[:] = @A[:1]",
    "@A.extend(@A[:2])",
    "@A, @N = [@N], 4",
    "@A.append(@U)",
    "@A = sorted(map(str, @A))",
    "print(@A, @D)",
    "@D = {'x': @A}",
    "@D['x'] = @A",
    "@D['x'].append(1)",
    "@D.update(y=@N)",
    "@D = @D",
    "@A = @D['x']",
    "@D = dict(@D)",
    "@D.pop('y', None)",
    "@D['f'] = @G",
    "@N = @D['f']() or 0",
    "@U = np.arange(4.0) + @N",
    "@U = @U[1:]",
    "@U[0] = @N",
    "@U = @U",
    "@U *= 2",
    "np.add(@U, 1, out=@U)",
    "@U.sort()",
    "@U = @U.reshape(-1)",
    "@U = @U.copy()",
    "@U.flat[0] = @N",
    "@N = int(@U.sum())",
    "@F = pd.DataFrame({'p': [@N, 2], 'q': [1.0, 2.0]})",
    "@F = pd.DataFrame({'p': np.zeros(2)})\n@F['q'] = @N",
    "@F['q'] = @N",
    "@F['q'] = @F['p'] * 2",
    "@F.loc[0, 'p'] = @N",
    "@F = @F",
    "@F = @F.copy()",
    "@F.drop(columns='q', inplace=True, errors='ignore')",
    "@F = @F[['p']]",
    "@F['p'] += 1",
    "@F.index = [5, 6]",
    "@F.describe()",
    "@N = int(@F['p'].sum())",
    "@U = @F['p'].to_numpy().copy()",
    "def @G():\n    return @N",
    "def @G():\n    @A.append(@N)\n    return len(@A)",
    "def @G():\n    global @N\n    @N = @N + 1",
    "def @G(x=@A):\n    x.append(@N)\n    return x",
    "def @G():\n    @U[0] = @N\n    return @1",
    "def @G():\n    @F['q'] = @N\n    return @1",
    "def @G():\n    return random.random() < 0.5",
    "@G()",
    "@N = @G() or 0",
    "@G = lambda: @N",
    "@G = @G",
    "@G = (lambda y: lambda: y.append(@N))(@A)",
    "@A = [@G(), @G()]",
    "class @C:\n    s = @A\n    def go(self):\n        self.z = @N\n        return self.s",
    "class @C:\n    s = [@N]\n    def go(self):\n        @A.append(@N)\n        type(self).t = @N\n        return self.s",
    "@O = @C()",
    "@O.go()",
    "@A = @O.go()",
    "@O.s = @A",
    "@C.s = @A",
    "@O.s.append(@N)",
    "setattr(@O, 'z', @A)",
    "@O = @O",
    "@A = [getattr(@O, 'z', 0), getattr(@O, 't', 0)]",
    "@A.append(@O)",
    "for i in range(2):\n    @A.append(i)",
    "for @N in @A[:2]:\n    pass",
    "for i in range(2):\n    if i == @N:\n        @N = @1",
    "if @N == 1:\n    @A = @A",
    "i = 0\nwhile i < 2:\n    i += 1\n    @A.append(@N)",
    "@A = [x for x in @A]",
    "@N = sum(1 for x in @A)",
    "exec('@N = @N')",
    "exec('@A.append(@N)')",
    "@N = eval('len(@A) + @1')",
    "globals()['@N'] = @N",
    "globals().update(@N=@N)",
    "Path('@T').write_text(str(@N))",
    "with open('@T', 'a') as h:\n    h.write(str(@N))",
    "@A = [Path('@T').read_text()]",
    "@A = [os.path.exists('@T')]",
    "@A = sorted(os.listdir())",
    "os.remove('@T')",
    "os.rename('@T', '@T')",
    "random.seed(@N)",
    "@N = random.randint(0, 9)",
    "@A = [random.gauss(0, 1)]",
    "random.shuffle(@A)",
    "np.random.seed(@1)",
    "@A = [float(np.random.randn())]",
    "@N = int(np.random.randint(9))",
    "@R = np.random.default_rng(@1)",
    "@N = int(@R.integers(9))",
    "@R = @R",
    "os.environ['FLOWCASE'] = str(@N)",
    "@A = [os.environ.get('FLOWCASE')]",
    "@I = iter(@A)",
    "@A = [next(@I, None)]",
    "@I = (x for x in @A)",
    "@I = @I",
    "@A = list(@I)",
    "@I = map(lambda x: @N, @A)",
    "try:\n    @A.append(1)\n    @N / 0\nexcept ZeroDivisionError:\n    @N = 7",
    "[@A.append(i) or 1 / (1 - i) for i in range(2)]",
    "del @N",
    "@A = [@N]; @N = 6",
    "(@N := @N + 1)",
    "@A = [*@A, *@D]",
)
SHOWN = ("a", "b", "c", "d", "e", "u", "v", "w", "df", "dg", "n", "m", "k", "o", "p")
_PLACE = re.compile("@([A-Z1])")


@st.composite
def statement(draw: st.DrawFn) -> str:
    template = draw(st.sampled_from(TEMPLATES))
    return _PLACE.sub(lambda match: draw(st.sampled_from(POOLS[match[1]])), template)


cell = st.lists(statement(), min_size=1, max_size=3).map("\n".join)
shown = st.lists(st.sampled_from(SHOWN), min_size=1, max_size=2, unique=True).map(
    lambda names: f"result = [{', '.join(names)}]"
)


@st.composite
def programs(draw: st.DrawFn, most: int = 14) -> list[str]:
    """Return the cells of a notebook, in executed order; the last one's `result` is what counts."""
    cells = draw(st.lists(cell, min_size=3, max_size=most))
    return [*START, *cells, draw(shown)]


def plain(value: Any, depth: int = 0) -> Any:
    """Return a value in a form that can be compared, whatever it holds."""
    if depth > 6:
        return "…"
    kind = type(value).__name__
    if isinstance(value, list | tuple):
        return [plain(each, depth + 1) for each in value]
    if isinstance(value, dict):
        return {key: plain(each, depth + 1) for key, each in value.items()}
    if kind == "ndarray":
        return ("array", value.shape, value.tolist())
    if kind == "DataFrame":
        return ("frame", value.to_dict("split"))
    if kind in ("P", "Q"):
        return ("object", kind, plain(vars(value), depth + 1), plain(getattr(value, "s", None), depth + 1))
    if kind in ("int", "float", "str", "bool", "NoneType"):
        return value
    return kind
