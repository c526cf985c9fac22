"""What cells read is recorded, by whichever library, whenever it was imported, and nothing else is."""

from __future__ import annotations

import hashlib
import inspect
import json
import pickle
import sqlite3
import warnings
import zipfile
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbops.project import Project
from nbops.snapshot.fingerprint import UNKNOWN, fingerprint, fingerprint_file
from nbops.tracking.reads import watch
from nbops.tracking.recording import recorder
from nbops.tracking.recording.records import Data, read

FRAME = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
HAVE = {name: pytest.importorskip(name) for name in ("polars", "duckdb", "deltalake", "sqlalchemy")}


@pytest.fixture
def folder(project: Project) -> Path:
    """Return the project's folder with the same table in many forms."""
    root = project.root
    FRAME.to_csv(root / "in.csv", index=False)
    FRAME.to_parquet(root / "in.parquet")
    FRAME.to_feather(root / "in.feather")
    FRAME.to_json(root / "in.json")
    FRAME.to_pickle(root / "in.pkl")
    np.save(root / "in.npy", np.arange(3))
    joblib.dump([1], root / "in.joblib")
    with zipfile.ZipFile(root / "in.zip", "w") as archive:
        archive.write(root / "in.csv", "in.csv")
    connection = sqlite3.connect(root / "in.db")
    FRAME.to_sql("t", connection, index=False)
    connection.close()
    for mode in ("error", "append"):
        HAVE["deltalake"].write_deltalake(root / "delta", pa.Table.from_pandas(FRAME), mode=mode)
    return root


def record(shell: InteractiveShell, project: Project, *cells: str) -> list[list[Data]]:
    """Run cells and return what each of them read."""
    assert shell.run_cell("%load_ext nbops", store_history=True).success
    for cell in cells:
        assert shell.run_cell(cell, store_history=True).success, cell
    active = recorder.current()
    assert active
    active.flush()
    log = read(active.file)
    assert not (project.state / "nbops.log").exists()
    return [cell.data for cell in log.cells[-len(cells) :]]


IMPORTS = """
import io, json, pickle, sqlite3, zipfile, joblib, duckdb, deltalake, sqlalchemy
from pathlib import Path
import numpy as np, pandas as pd, polars as pl, pyarrow as pa
import pyarrow.csv, pyarrow.dataset, pyarrow.parquet
from pandas import read_csv as early
from pyarrow.csv import read_csv as early_arrow
from polars import read_csv as early_polars
from sqlite3 import connect
read_of = {"csv": pd.read_csv}
"""
CASES: dict[str, tuple[str, str]] = {
    "pd.read_csv('in.csv')": ("read_csv", "in.csv"),
    "early('in.csv')": ("read_csv", "in.csv"),
    "read_of['csv']('in.csv')": ("read_csv", "in.csv"),
    "with open('in.csv') as stream: early(stream)": ("read_csv", "in.csv"),
    "pd.read_csv('in.zip')": ("read_csv", "in.zip"),
    "with zipfile.ZipFile('in.zip') as z, z.open('in.csv') as f: pd.read_csv(f)": ("read_csv", "in.zip!in.csv"),
    "pd.read_table(Path('in.csv'), sep=',')": ("read_table", "in.csv"),
    "pd.read_parquet('in.parquet')": ("read_parquet", "in.parquet"),
    "pd.read_feather('in.feather')": ("read_feather", "in.feather"),
    "pd.read_json('in.json')": ("read_json", "in.json"),
    "pd.read_pickle('in.pkl')": ("read_pickle", "in.pkl"),
    "pd.read_csv(io.StringIO('a\\n1'))": ("read_csv", "StringIO"),
    "early_arrow('in.csv')": ("read_csv", "in.csv"),
    "pa.csv.read_csv('in.csv')": ("read_csv", "in.csv"),
    "pa.parquet.read_table('in.parquet')": ("read_table", "in.parquet"),
    "pa.parquet.ParquetFile('in.parquet').read()": ("ParquetFile", "in.parquet"),
    "pa.dataset.dataset('in.parquet').to_table()": ("dataset", "in.parquet"),
    "early_polars('in.csv')": ("read_csv", "in.csv"),
    "pl.scan_parquet('in.parquet').collect()": ("scan_parquet", "in.parquet"),
    "pl.read_delta('delta')": ("read_delta", "delta"),
    "deltalake.DeltaTable('delta').to_pandas()": ("DeltaTable.to_pandas", "delta"),
    "deltalake.DeltaTable('delta', version=0).to_pyarrow_table()": ("DeltaTable.to_pyarrow_table", "delta"),
    "np.load('in.npy')": ("open", "in.npy"),
    "joblib.load('in.joblib')": ("open", "in.joblib"),
    "with open('in.json') as stream: json.load(stream)": ("open", "in.json"),
    "with open('in.pkl', 'rb') as stream: pickle.load(stream)": ("open", "in.pkl"),
    "Path('in.csv').read_text()": ("open", "in.csv"),
    "c = connect('in.db'); pd.read_sql('select a from t', c); c.close()": (
        "read_sql",
        "select a from t [sqlite:///in.db]",
    ),
    "c = sqlite3.connect('in.db'); c.execute('select b from t').fetchall(); c.close()": (
        "sqlite3",
        "select b from t [sqlite:///in.db]",
    ),
    "c = connect('in.db'); list(c.cursor().execute('select a, b from t')); c.close()": (
        "sqlite3",
        "select a, b from t [sqlite:///in.db]",
    ),
    "with sqlalchemy.create_engine('sqlite:///in.db').connect() as c: c.execute(sqlalchemy.text('select 1')).all()": (
        "sqlalchemy",
        "select 1 [sqlite:///in.db]",
    ),
    "duckdb.sql(\"select a from 'in.parquet'\").df()": ("duckdb.df", "select a from 'in.parquet' [duckdb]"),
    "x = pd.read_csv('in.csv'); duckdb.sql('select a from x').fetchall()": ("read_csv", "in.csv"),
}


def test_each_reader_tells_once(shell: InteractiveShell, project: Project, folder: Path) -> None:
    assert shell.run_cell(IMPORTS, store_history=True).success
    found = dict(zip(CASES, record(shell, project, *(f"{code};" for code in CASES)), strict=True))
    assert {code: [(data.reader, data.source) for data in told][:1] for code, told in found.items()} == {
        code: [expected] for code, expected in CASES.items()
    }
    several = {code for code, told in found.items() if len(told) != 1}
    assert several == {"x = pd.read_csv('in.csv'); duckdb.sql('select a from x').fetchall()"}
    first = {code: told[0] for code, told in found.items()}
    assert UNKNOWN not in {data.digest for data in first.values()}
    assert (
        first["pd.read_csv('in.csv')"].digest == first["early('in.csv')"].digest == fingerprint(pd.read_csv("in.csv"))
    )
    assert first["np.load('in.npy')"].digest == fingerprint_file(folder / "in.npy")
    assert first["pd.read_csv('in.csv')"].rows == first["early_polars('in.csv')"].rows == 2
    assert first["early_arrow('in.csv')"].columns == {"a": "long", "b": "string"}
    versions = {code: data.version for code, data in first.items() if "elta" in code}
    assert list(versions.values()) == ["delta:1", "delta:1", "delta:0"]


def test_a_frame_is_recorded_as_it_was_read(shell: InteractiveShell, project: Project, folder: Path) -> None:
    cells = record(
        shell,
        project,
        "import pandas as pd, polars as pl\nframe = pd.read_csv('in.csv')\nframe.loc[0, 'a'] = 9\nframe['c'] = 1",
        "frame = pl.read_csv('in.csv')\nframe[0, 'a'] = 9",
        "frame = pd.read_pickle('in.pkl')\nframe.iloc[:, 0] *= 2",
    )
    assert cells[0][0].digest == fingerprint(pd.read_csv("in.csv"))
    assert cells[1][0].digest == fingerprint(HAVE["polars"].read_csv("in.csv"))
    assert cells[2][0].digest == fingerprint(FRAME)


def test_past_the_bound_frames_are_fingerprinted_at_once(
    shell: InteractiveShell, project: Project, folder: Path
) -> None:
    (folder / "nbops.toml").write_text('[tracking]\nmemory = "10B"\n', encoding="utf-8")
    (told,) = record(shell, project, "import pandas as pd\nframe = pd.read_csv('in.csv')\nframe['a'] = 0")
    assert told[0].digest == fingerprint(pd.read_csv("in.csv"))


def test_a_file_that_changed_since_is_unknown(shell: InteractiveShell, project: Project, folder: Path) -> None:
    code = "text = open('in.csv').read()\nopen('in.csv', 'a').write('3,z\\n')"
    told = record(shell, project, "import warnings\nwarnings.simplefilter('ignore')", code)[1]
    assert [(data.source, data.digest) for data in told] == [("in.csv", UNKNOWN)]


def test_many_files_count_together(shell: InteractiveShell, project: Project, folder: Path) -> None:
    (folder / "images").mkdir()
    for number in range(30):
        (folder / "images" / f"{number}.png").write_bytes(bytes([number]))
    code = "from pathlib import Path\nimages = [path.read_bytes() for path in Path('images').iterdir()]"
    first, again = record(shell, project, code, code)
    assert [data.source for data in first] == ["images/*.png (30 files)"]
    assert first[0].digest == again[0].digest != UNKNOWN
    (folder / "images" / "3.png").write_bytes(b"x")
    changed = record(shell, project, code)[0]
    assert changed[0].digest != first[0].digest


def test_what_is_not_the_users_data_is_not_recorded(shell: InteractiveShell, project: Project, folder: Path) -> None:
    (folder / "mine.py").write_text("x = 1", encoding="utf-8")
    (folder / ".secret").write_text("x", encoding="utf-8")
    quiet = [
        "import sys; sys.path.insert(0, '.')\nimport mine, colorsys, xml.dom.minidom; sys.path.pop(0)",
        "import pandas, json; open(pandas.__file__).close(); open(json.__file__).close()",
        "open('.secret').close()",
        "open('out.txt', 'w').close()",
        "import mlflow; mlflow.set_experiment('x')",
        "import sqlite3; c = sqlite3.connect('new.db'); c.execute('create table t (a)'); c.close()",
        "%%nbops skip\nopen('in.csv').close()",
        "x = 1 / 2",
    ]
    assert record(shell, project, *quiet) == [[] for _ in quiet]


def test_failing_reads_raise_what_they_always_raised(project: Project) -> None:
    told: list[Any] = []
    watch(told.append)
    try:
        with pytest.raises(FileNotFoundError) as caught:
            pd.read_csv("/nowhere.csv")
        assert "nbops" not in "".join(str(entry.path) for entry in caught.traceback[2:])
        with pytest.raises(TypeError):
            pd.read_csv()
        assert told == []
        assert pickle.loads(pickle.dumps(pd.read_csv)) is pd.read_csv
        assert "filepath_or_buffer" in inspect.signature(pd.read_csv).parameters
        assert pd.read_csv.__doc__
    finally:
        watch(None)


def test_warnings_blame_the_users_line(project: Project, folder: Path) -> None:
    (folder / "dates.csv").write_text("d\n1/2/2013\n13-2013-04\n", encoding="utf-8")
    told: list[Any] = []
    watch(told.append)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pd.read_csv(folder / "dates.csv", parse_dates=["d"])
    finally:
        watch(None)
    assert {warning.filename for warning in caught} <= {__file__}
    assert len(told) == 1


def _dvc(path: Path, content: bytes) -> str:
    digest = hashlib.md5(content).hexdigest()
    entry = {"outs": [{"md5": digest, "size": len(content), "hash": "md5", "path": path.name}]}
    path.with_name(f"{path.name}.dvc").write_text(json.dumps(entry), encoding="utf-8")
    return digest


def test_tracked_files_carry_dvcs_version(shell: InteractiveShell, project: Project, folder: Path) -> None:
    single = _dvc(folder / "in.csv", (folder / "in.csv").read_bytes())
    (folder / "made.csv").write_bytes(b"a\n1\n")
    made = hashlib.md5(b"a\n1\n").hexdigest()
    lock = f"schema: '2.0'\nstages:\n  make:\n    cmd: x\n    outs:\n    - path: made.csv\n      md5: {made}\n      size: 4\n"
    (folder / "dvc.lock").write_text(lock, encoding="utf-8")
    (folder / "raw").mkdir()
    (folder / "raw" / "x.csv").write_bytes(b"a\n1\n")
    (folder / "raw.dvc").write_text(json.dumps({"outs": [{"md5": "0123.dir", "path": "raw"}]}), encoding="utf-8")
    reads = ["in.csv", "made.csv", "raw/x.csv", "in.json"]
    cells = record(shell, project, "import pandas as pd", *(f"pd.read_table('{name}')" for name in reads))[1:]
    assert [told[0].version for told in cells] == [f"dvc:{single}", f"dvc:{made}", "dvc:0123.dir", None]
    (folder / "made.csv").write_bytes(b"a\n2\n")
    assert record(shell, project, "pd.read_csv('made.csv')")[0][0].version == f"dvc:{made}+changed"
