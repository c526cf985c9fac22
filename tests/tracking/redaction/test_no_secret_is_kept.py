"""A real kernel runs cells full of secrets; afterwards no file of the project's state holds one of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kernels import Kernel
from nbops.project import Project
from nbops.tracking.redaction.redact import MASK
from nbops.tracking.store import Store

pytestmark = pytest.mark.slow

# each § stands for a secret of its own
CELLS = (
    "%load_ext nbops",
    "%%time\npassword = '§'\nprint('it is', password)\nother = password\nother",
    "import os\nos.environ['X_TOKEN'] = '§'\nxs2 = os.environ['X_TOKEN']\nprint(xs2)",
    "%%bash\nexport A_TOKEN=§\necho $A_TOKEN",
    "%%sh\nPGPASSWORD='§' printenv PGPASSWORD >&2",
    "%%writefile settings.py\npassword = '''\n§\n'''\ntoken = ('§'\n    '§')",
    "%env API_KEY=§",
    "!export TOKEN=§ && echo $TOKEN",
    "config = {'db': {'password': '§'}, 'lr': 0.1}\nprint(config)\nconfig",
    'api_key = f"""§\n{1 + 1}"""\nprint(api_key.split()[0])',
    "url = 'postgresql://me:§@host/db'\nprint(url)",
    "passphrase = '§'; a = passphrase; del passphrase; raise ValueError(f'no access with {a}')",
    "import getpass\ngetpass.getpass = lambda _: bytes([103, 105, 118, 101, 110, 45, 52, 55, 49, 49]).decode()\n"
    "secret = getpass.getpass('Secret: ')\nprint(secret)\nshown = {'text/html': f'<b>{secret}</b>'}\n"
    "display(shown, raw=True)",
    "def connect(password='§'):\n    return 1 / 0  # with password=§\nconnect()",
    "print('Authorization: Bearer §')",
    "import pandas as pd\npd.DataFrame({'a': [1.0, 2.0, 3.0], 'y': [0, 1, 0]}).to_csv(f'{other}.csv', index=False)\n"
    "table = pd.read_csv(f'{other}.csv')",
    "from sklearn.linear_model import LogisticRegression\nstrength = 0.5\n"
    "model = LogisticRegression(C=strength).fit(table[['a']], table.y)\nprint(xs2, other)",
    "%%nbops run x -p api_key=§ -p 'note=a b'\nseen = other",
    "from contextlib import contextmanager\n@contextmanager\ndef vault(key):\n    yield ('me', key)\n"
    "with vault('§') as (user, password2):\n    print(password2)",
    "get = lambda password='§': password\nfor user, pw_password in [('a', '§')]:\n    print(user, get())",
    "if (db_password := '§') == '§':\n    pass\nmatch db_password:\n    case '§' | '§':\n        pass",
    "from dataclasses import dataclass, field\n@dataclass\nclass Settings:\n"
    "    password: str = field(default='§')\nSettings()",
    'import json\nsettings = json.loads(\'{"user": "a", "password": "§"}\')\nprint(settings)\nsettings',
    'text = """\n[db]\npassword = §\n"""\ndsn = "host=x password=§ user=y"\nprint(dsn)',
    "import argparse\nparser = argparse.ArgumentParser()\nparser.add_argument('--password', default='§')\n"
    "given = parser.parse_args([])\nprint(given)",
    "def get_password():\n    return '§'\nsecret_key = get_password()\nprint(f'{secret_key} and more')\n{}[secret_key]",
    "!echo -H 'Authorization: Bearer §'",
    "import mlflow\nwith mlflow.start_run(run_name=f'run {secret_key}'):\n    mlflow.log_param('used', secret_key)",
    "import mlflow\nwith mlflow.start_run(tags={'used': other}):\n"
    "    mlflow.log_params({'password': '§', 'other': xs2, 'note': f'{other}!'})\n    mlflow.set_tag('token', '§')",
)


def _with_secrets() -> tuple[list[str], list[str]]:
    """Return the cells with the secrets that stand in them."""
    cells, secrets = [], ["given-4711"]
    for number, cell in enumerate(CELLS):
        while "§" in cell:
            secrets.append(f"s3cr{number}x{len(secrets)}-zq")
            cell = cell.replace("§", secrets[-1], 1)
        cells.append(cell)
    return cells, secrets


def _commit_notebook(folder: Path, before: str) -> None:
    """Commit a module and change it, so that runs have a ``code.diff``."""
    (folder / "settings.py").write_text("password = None\n", encoding="utf-8")
    (folder / "work.ipynb.txt").write_text("nothing\n", encoding="utf-8")
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
    (folder / "work.ipynb.txt").write_text(f'"password = \\"{before}\\"\\n",\n', encoding="utf-8")


def test_no_file_below_the_state_holds_a_secret(project: Project) -> None:
    cells, secrets = _with_secrets()
    secrets.append("only-in-the-diff-1")
    (project.root / ".gitignore").write_text(".nbops\n", encoding="utf-8")
    _commit_notebook(project.root, secrets[-1])
    kernel = Kernel(project.root, {"NBOPS_NOTEBOOK": "work.ipynb", "IPYTHONDIR": os.environ["IPYTHONDIR"]}).start()
    try:
        ended = [kernel.run(cell).status for cell in cells]
    finally:
        kernel.stop()
    assert [number for number, status in enumerate(ended) if status != "ok"] == [11, 13, 25]
    runs = {run.name: run for run in Store(project).runs()}
    assert len(runs) == 4
    assert runs["x"].params["api_key"] == MASK
    kept = {path: path.read_bytes() for path in project.state.rglob("*") if path.is_file()}
    assert {"code.diff", "recipe.json", "mlflow.db"} <= {path.name for path in kept}
    found = {
        (secret, str(path.relative_to(project.state)))
        for path, content in kept.items()
        for secret in secrets
        if secret.encode() in content or secret in str(path)
    }
    assert found == set()
