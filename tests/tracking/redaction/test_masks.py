"""Values that are known to be secret are found wherever they turn up, and nothing else is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbops.project import Project
from nbops.tracking.recording import recorder
from nbops.tracking.redaction import masks
from nbops.tracking.redaction.masks import Secrets
from nbops.tracking.redaction.redact import redact_source, redact_text, redact_value


@pytest.fixture(autouse=True)
def own_rules() -> Iterator[None]:
    yield
    masks.configure(())


def _learn(**values: object) -> None:
    masks.configure(())
    Secrets(dict(values)).look()


@pytest.mark.parametrize(
    ("values", "text", "redacted"),
    [
        ({"password": "hunter2"}, "it's hunter2!", "it's ***!"),
        ({"password": "hunter2"}, "xhunter2 hunter22", "xhunter2 hunter22"),
        ({"password": "hunter2zz"}, "pre-hunter2zzpost", "pre-***post"),
        ({"api_key": b"abc-def"}, "b'abc-def'", "b'***'"),
        ({"credentials": {"user": "ann", "password": "pw-12"}}, "ann pw-12", "ann ***"),
        ({"secrets": ["one-1", ("two-2",)]}, "one-1 two-2", "*** ***"),
        ({"password": "a'b\\c\n"}, repr("a'b\\c\n"), '"***"'),
        ({"password": "a b/c&d"}, "https://h/?q=a%20b/c%26d&r=a+b%2Fc%26d", "https://h/?q=***&r=***"),
        ({"token": "apple", "auth": "basic", "password": "abc"}, "apple basic abc", "apple basic abc"),
        ({"github_token": "apple"}, "apple pineapple", "*** pineapple"),
        ({"author": "ann-01"}, "ann-01", "ann-01"),
    ],
)
def test_values_of_secret_names_are_found(values: dict[str, object], text: str, redacted: str) -> None:
    _learn(**values)
    assert redact_text(text) == redacted


def test_in_code_only_strings_and_comments_are_masked() -> None:
    _learn(password="admin")
    code = "admin = User('admin')  # as admin\nlog(f'{x} admin')"
    assert redact_source(code) == "admin = User('***')  # as ***\nlog(f'{x} ***')"


def test_variables_of_the_environment_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "tok-123")
    monkeypatch.setenv("DATABASE", "postgresql://me:s3cr3t@host/db")
    monkeypatch.setenv("PWD", str(Path.cwd()))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(Path.cwd()))
    secrets = Secrets({})
    secrets.look()
    assert redact_text("tok-123, s3cr3t, " + str(Path.cwd())) == "***, ***, " + str(Path.cwd())
    os.environ["SOME_TOKEN"] = "tok-456"
    secrets.look()
    assert redact_text("tok-456") == "***"


def test_new_names_are_seen_among_many() -> None:
    namespace: dict[str, object] = {f"x{number}": number for number in range(1000)}
    secrets = Secrets(namespace)
    secrets.look()
    namespace["password"] = "first-1"
    secrets.look()
    assert redact_text("first-1") == "***"
    namespace["password"] = "second-2"
    secrets.look()
    assert redact_text("first-1 second-2") == "first-1 ***"


def test_what_code_says_is_secret_is_looked_for_from_then_on() -> None:
    secrets = Secrets({})
    with masks.noting() as told:
        redact_source(
            "%%time\npassword = 'hunter2zz'\n!export A_TOKEN=tok-123\nsmtp.login('me', b'pw-4711')\n!x --token file"
        )
    secrets.take(told)
    assert redact_text("hunter2zz tok-123 pw-4711 file") == "*** *** *** file"
    secrets.look(everywhere=True)
    assert redact_text("hunter2zz") == "***"


def test_the_project_says_what_else_is_secret() -> None:
    masks.configure(["Patient_*", r"re:MRN-\d+"])
    Secrets({"patient_name": "Jo Doe", "doctor": "Ann"}).look()
    assert redact_source("patient_age = 77\nx = 'MRN-12'") == "patient_age = \"***\"\nx = '***'"
    assert redact_text("Jo Doe sees Ann, MRN-99") == "*** sees Ann, ***"
    assert redact_value("patient_age", 77) == "***"
    assert redact_value("doctor", "Ann") == "Ann"


def test_long_texts_are_masked_around_what_is_suspect() -> None:
    text = "fine " * 100_000 + "password=hunter2zz " + "fine " * 100_000
    redacted = redact_text(text)
    assert len(redacted) == len(text) - len("hunter2zz") + 3
    assert "hunter2" not in redacted


def test_no_file_of_a_session_holds_a_secret(shell: InteractiveShell, project: Project) -> None:
    (project.root / "nbops.toml").write_text('[tracking]\nredact = ["ssn", "re:MRN-\\\\d+"]\n', encoding="utf-8")
    for cell in (
        "%load_ext nbops",
        "import os, getpass\nos.environ['DB_PASSWORD'] = 'hunter2zz'\nssn = 123456789\nkey = 'MRN-4711'",
        "pin = os.environ['DB_PASSWORD']\nprint(pin, key)\npin",
        "raise ValueError(f'no access for {pin} at MRN-4711')",
        "with open(f'{pin}.csv', 'w') as out: out.write('a\\n1\\n')\nimport pandas as pd\npd.read_csv(f'{pin}.csv')",
        "!echo hunter2zz",
        "%env DB_PASSWORD=hunter2zz",
        "def f(): return 1 / 0  # hunter2zz\nf()",
        "display({'text/html': '<b>hunter2zz</b>', 'text/plain': 'hunter2zz'}, raw=True)",
    ):
        shell.run_cell(cell, store_history=True)
    active = recorder.current()
    assert active
    active.flush()
    files = [path for path in project.state.rglob("*") if path.is_file()]
    kept = "".join(f"{path}\n{path.read_text(encoding='utf-8', errors='replace')}" for path in files)
    assert not [secret for secret in ("hunter2", "4711", "123456789") if secret in kept]
    assert "***" in kept
