"""A study that is lived in a real kernel: edited, failed, executed out of order, with runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from live import LiveNotebook
from nbops.project import Project
from nbops.tracking.store import Store

CELLS: list[str | tuple[str, str]] = [
    "# Which flowers?\n\nA study.",
    ("load", "%load_ext nbops"),
    ("imports", "import pandas as pd\nfrom sklearn.linear_model import LogisticRegression\nimport ground"),
    "## The data",
    ("read", "df = pd.read_csv('data/in.csv')\ndf.head(2)"),
    ("aside", "unused = list(range(3))\nprint('aside')"),
    ("boom", "1 / 0"),
    "## Features",
    ("features", "df['z'] = ground.ratio(df)"),
    "## The fit",
    (
        "fit",
        "strength = 0.5\nmodel = LogisticRegression(C=strength).fit(df[['a', 'b', 'z']], df.y)\n"
        "print('accuracy', model.score(df[['a', 'b', 'z']], df.y))",
    ),
    ("save", "df.to_csv('out.csv', index=False)"),
    "The end.",
]
EDITED = (
    "strength = 0.1\nmodel = LogisticRegression(C=strength).fit(df[['a', 'b', 'z']], df.y)\n"
    "print('accuracy', model.score(df[['a', 'b', 'z']], df.y))"
)


@dataclass
class Study:
    """A lived project: the runs of the first fit, and of the edited one."""

    project: Project
    store: Store
    first: str
    edited: str

    @property
    def root(self) -> Path:
        return self.project.root


def write_project(root: Path) -> Project:
    """Lay out the study's folder."""
    (root / "data").mkdir(parents=True)
    (root / "nbops.toml").write_text('[project]\nname = "study"\n', encoding="utf-8")
    (root / "ground.py").write_text("def ratio(df):\n    return df.a / (df.b + 1)\n", encoding="utf-8")
    rows = "\n".join(f"{i % 7},{i * 3 % 11},{int(i % 5 > 2)}" for i in range(100))
    (root / "data" / "in.csv").write_text(f"a,b,y\n{rows}\n", encoding="utf-8")
    return Project.find(root)


def live_it(project: Project) -> Study:
    """Live the study in a project and return its runs."""
    live = LiveNotebook(project.root / "study.ipynb", CELLS)
    with live:
        assert live.run() == ["ok"] * 4 + ["error"] + ["ok"] * 3
        live.save(fit=EDITED)
        assert live.run("fit") == ["ok"]
    store = Store(project)
    edited, first = (run.run_id for run in store.runs())
    return Study(project, store, first, edited)
