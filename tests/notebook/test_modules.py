"""Imports of notebooks: the project's own modules, transitively, and the names of others."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbops.notebook.modules import find_imports, imported_names, local_modules


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "nb/helper.py": "import deep.inner\nimport numpy as np\n",
        "nb/script.py": "import late\n",
        "nb/late.py": "",
        "deep/__init__.py": "from . import sibling\n",
        "deep/inner.py": "from .sibling import x\nfrom ..nowhere import y\nfrom .sub import z\n",
        "deep/sibling.py": "import helper\nx = 1\n",
        "deep/sub/__init__.py": "",
        "deep/sub/z.py": "import yaml\n",
        "space/only.py": "",
        "unused.py": "",
    }
    for name, source in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    return tmp_path


def test_local_modules_are_followed_through_packages(root: Path) -> None:
    found = find_imports(["import helper, os\nimport pandas as pd"], folder=root / "nb", root=root)

    assert set(found.local) == {"helper", "deep", "deep.inner", "deep.sibling", "deep.sub", "deep.sub.z"}
    assert found.local["deep"] == root.resolve() / "deep/__init__.py"
    assert found.external == {"pandas", "numpy", "yaml"}


def test_imports_anywhere_and_beside_magics(root: Path) -> None:
    sources = [
        "%matplotlib inline\nimport helper",
        "%%time\nfrom space import only",
        "def f():\n    try:\n        import sklearn.linear_model\n    except ImportError:\n        pass",
        "import importlib\nm = importlib.import_module('late')",
        "this is not python",
        "!pip list",
    ]

    found = find_imports(sources, folder=root / "nb", root=root)

    assert {"helper", "space.only", "late"} <= set(found.local)
    assert found.external == {"sklearn", "numpy", "yaml"}


def test_run_magic_counts(root: Path) -> None:
    assert set(local_modules(["%run script.py --fast"], folder=root / "nb", root=root)) == {"script.py", "late"}
    assert set(local_modules(["%run -i 'script'"], folder=root / "nb", root=root)) == {"script.py", "late"}


def test_the_notebooks_folder_goes_before_the_root(root: Path) -> None:
    (root / "helper.py").write_text("")

    assert local_modules(["import helper"], folder=root / "nb", root=root)["helper"] == root.resolve() / "nb/helper.py"
    assert set(local_modules(["import helper"], folder=root)) == {"helper"}


def test_names_as_imported() -> None:
    source = "import a.b as c, d\nfrom e.f import g, h as i\nfrom j import *\nfrom . import k\nfrom .l import m"

    assert imported_names(source, "pkg") == [
        *["a.b", "d", "e.f", "e.f.g", "e.f.h", "j"],
        *["pkg", "pkg.k", "pkg.l", "pkg.l.m"],
    ]
    assert imported_names("not python at all") == []
