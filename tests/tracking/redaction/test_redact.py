"""Secrets go, everything else stays byte by byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nbops
from nbops.tracking.redaction.redact import MASK, redact_source, redact_text, redact_value, sounds_secret

SECRET = "hunter2zz"


@pytest.mark.parametrize(
    "code",
    [
        "password = '§'",
        'token = ("§"\n  "§")',
        "TOKEN = 'abc' + '§'",
        "apiKey = b'§'",
        "dbPassword = r'§'",
        "DB_PASS = '''§'''",
        "connect(host, password='§')",
        "{'Authorization': 'Bearer §'}",
        "headers = [('Authorization', 'Bearer §')]",
        "os.environ['X_TOKEN'] = '§'",
        "os.environ.setdefault('API_KEY', '§')",
        "y = {'secrets': ['§', {'a': '§'}]}",
        "def f(a, token='§', *, secret='§'): pass",
        "f = lambda password='§': 1",
        "if password == '§': pass",
        "'§' == password",
        "user, password = 'me', '§'",
        "client.secret = '§' if x else '§'",
        "token = key or '§'",
        "token = '§'.strip()",
        "token = SecretStr('§')",
        "token = f'§{x}'",
        "(token := '§')",
        "s = 'ä'; token = '§'",
        "mlflow.log_param('password', '§')",
        "create_engine('postgresql://u:§@h/db')",
        "conn = 'Server=x;Password=§;Y=1'",
        "url = 'https://x/?api_key=§&b=1'",
        "# password=§",
        "%env API_KEY=§",
        "%env API_KEY §",
        "%set_env SECRET_KEY=§",
        "!curl -H 'Authorization: Bearer §' x",
        "!mysql --password §",
        "!export TOKEN=§ && ls",
        "%%bash\nexport A_TOKEN=§",
        "a = (\npassword = '§'",
        "%%time\npassword = '§'",
        "\n %%capture out\n%%time\nx = {'password': '§'}  # ä",
        '%%time\nx = \'ä\'\npassword = """a\n§"""',
        "%%time\n!export A_TOKEN=§",
        "%%timeit -n 1 password='§'\npass",
        "%%nbops run x -p api_key=§\npass",
        "%%nbops run x -p 'password=a §'\npass",
        "%%bash\nA_TOKEN='§' ./call --x",
        "%%sh\nmysql -uroot -p§",
        "%%sh\ncurl -u me:§ https://x",
        "%%sql postgresql://u:§@h/db\nselect 1",
        "%%sql\nALTER USER me IDENTIFIED BY '§'",
        "q = \"CREATE USER me WITH PASSWORD '§'\"",
        "%%writefile c.py\ntoken = ('a'\n  '§')",
        '%%writefile c.py\npassword = """\n§\n"""',
        "%%writefile .env\nAPI_KEY=§",
        '%%writefile c.json\n{"password": "§"}',
        "%%sh\nPGPASSWORD='§' psql",
        "%%R\npassword <- '§'",
        "x = !call --api-key §",
        "headers = {'X-Api-Key': '§'}",
        "os.environ |= {'X_TOKEN': '§'}",
        "os.environ.update(X_TOKEN='§')",
        "secrets['db'] = '§'",
        "password = ['§', 'x'][0]",
        "password = dict(a='§')['a']",
        "for password in ['§']: pass",
        "smtp.login('me', '§')",
        "wandb.login(key='§')",
        "match password:\n  case '§': pass",
    ],
)
def test_no_secret_is_left_in_code(code: str) -> None:
    redacted = redact_source(code.replace("§", SECRET))
    assert SECRET not in redacted
    assert MASK in redacted


@pytest.mark.parametrize(
    "name", ["password", "DB_PASS", "apiKey", "openai_api_key", "AWSSecretAccessKey", "auth.token"]
)
def test_names_that_sound_secret(name: str) -> None:
    assert sounds_secret(name)


@pytest.mark.parametrize(
    "name", ["tokens", "pad_token", "tokenizer", "author", "bypass", "compass", "key", "passenger", "auth_type"]
)
def test_names_that_do_not(name: str) -> None:
    assert not sounds_secret(name)


@pytest.mark.parametrize(
    "code",
    [
        "token = os.environ['TOKEN']",
        "token = getpass('Token: ')",
        "headers = {'Authorization': f'Bearer {token}'}",
        "tokens = ['a', 'b']",
        "tokenizer(pad_token='<pad>')",
        "password = ''",
        "'''password : str'''",
        "# the token is good",
        "df['auth_method'] = 3",
        "if token is None: pass",
        "print('password:', end='')",
        "url = 'https://a.b/c?d=e'",
        "%%time\ntoken = os.environ['TOKEN']\nfor token in ['the', 'cat']: pass",
        "!docker run -u 1000:1000 x",
        "%%writefile x.py\ntokens = ['a', 'b']",
        "\n%%bash\n\n  ls\n",
    ],
)
def test_code_without_a_secret_stays(code: str) -> None:
    assert redact_source(code) == code


def test_this_package_stays_as_it_is() -> None:
    # the first holds the patterns; the second a dictionary named "token", in which anything may be secret
    left_out = ("redact.py", "openapi.py")
    sources = [path for path in Path(nbops.__file__).parent.rglob("*.py") if path.name not in left_out]
    changed = [path.name for path in sources if redact_source(text := path.read_text(encoding="utf-8")) != text]
    assert changed == []


@settings(max_examples=100)
@given(st.text(max_size=80))
def test_any_text_is_taken(text: str) -> None:
    redact_source(text)
    redact_text(text)


@given(
    st.text("0123456789abcdef", min_size=12, max_size=30),
    st.sampled_from(["token = '%s'", 'f(api_key="%s")', "%%env PWD=%s"]),
)
def test_any_secret_goes(secret: str, code: str) -> None:
    assert secret not in redact_source(code % secret)


def test_messages_and_values() -> None:
    assert redact_text("bad token=hunter2zz") == "bad token=***"
    assert redact_text("at postgresql://me:hunter2@host/x") == "at postgresql://***@host/x"
    assert redact_text("+    password = 'hunter2zz'") == "+    password = '***'"
    assert redact_text(r'+   "password = \"hunter2zz\"\n",') == r'+   "password = \"***\"\n",'
    assert redact_value("api_key", "x") == MASK
    assert redact_value("lr", "0.1") == "0.1"
    assert redact_value("password", 3) == 3
    assert SECRET not in redact_source(f"x = 'ghp_{SECRET * 3}'")


def test_long_sources_take_no_time() -> None:
    for source in ("'" + "a" * 300_000 + "'", "token " * 10_000, '"' * 3000, "password=" * 5_000):
        redact_source(source)
