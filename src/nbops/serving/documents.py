"""Bytes to JSON values: msgspec's speed, and messages that a person can act on.

Numbers that msgspec can't hold (1e999, integers of 40 digits) make it fail without saying where; such a body is
read again by the slower standard library, so that the signature can refuse the number at its row and field.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

from .refusal import Refusal

_NOT_JSON = re.compile(rb"[\[:,]\s*-?(NaN|Infinity|nan|inf|None)\b")
_LONGEST_INTEGER = 400  # digits; the largest double has 309


def read_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object in `body`; a `Refusal` when there is none."""
    if not body.strip():
        raise Refusal("the body is empty; expected a JSON object", reason="empty_body")
    try:
        value = msgspec.json.decode(body)
    except msgspec.ValidationError:
        value = _read_slowly(body)
    except UnicodeDecodeError as error:
        raise Refusal(f"the body is not valid UTF-8: {error.reason}", reason="malformed") from error
    except msgspec.DecodeError as error:
        found = _NOT_JSON.search(body)
        hint = f" ({found[1].decode()} is not JSON: write null for a missing value)" if found else ""
        raise Refusal(f"the body is not valid JSON: {error}{hint}", reason="malformed") from error
    except RecursionError as error:
        raise Refusal("the body is nested too deeply", reason="malformed") from error
    if type(value) is not dict:
        raise Refusal("the body must be a JSON object", reason="malformed")
    return value


def _read_slowly(body: bytes) -> Any:
    try:
        return json.loads(body, parse_int=_integer)
    except RecursionError as error:
        raise Refusal("the body is nested too deeply", reason="malformed") from error
    except ValueError as error:
        raise Refusal(f"the body is not valid JSON: {error}", reason="malformed") from error


def _integer(digits: str) -> int:
    if len(digits) > _LONGEST_INTEGER:
        raise ValueError(f"an integer of {len(digits)} digits")
    return int(digits)
