"""An executed notebook is kept without the secrets that its cells hold and showed."""

from __future__ import annotations

import json

import pytest

from nbops.notebook import document
from nbops.tracking.redaction.notebooks import redact_notebook


def test_no_secret_of_code_or_environment_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "tok-4711")
    code = "%%time\npassword = 'pw-4712-zq'\nprint(password)"
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["pw-4712-zq\n", "tok-4711"]},
        {"output_type": "error", "ename": "E", "evalue": "tok-4711", "traceback": ["at pw-4712-zq"]},
        {
            "output_type": "display_data",
            "metadata": {},
            "data": {"text/html": "<b>tok-4711</b>", "image/png": "aGk=", "application/json": {"a": ["tok-4711", 1]}},
        },
    ]
    cells = [
        {"cell_type": "markdown", "id": "m", "source": "# Title", "metadata": {}},
        {"cell_type": "code", "id": "c", "source": code, "metadata": {}, "outputs": outputs, "execution_count": 1},
    ]
    made = redact_notebook(document.new(cells, kernel="python3"))
    text = json.dumps(made.content)
    assert "4711" not in text
    assert "4712" not in text
    assert made.cells[0] == cells[0]
    assert made.cells[1]["source"] == "%%time\npassword = '***'\nprint(password)"
    assert made.cells[1]["outputs"][0]["text"] == ["***\n", "***"]
    assert made.cells[1]["outputs"][1]["traceback"] == ["at ***"]
    assert made.cells[1]["outputs"][2]["data"]["image/png"] == "aGk="
