"""Secrets in differences, on one line or on several."""

from __future__ import annotations

from nbops.tracking.redaction.diffs import redact_diff

DIFF = '''diff --git a/settings.py b/settings.py
--- a/settings.py
+++ b/settings.py
@@ -1,6 +1,9 @@ class Other:
     host = "local"
-    password = """
-old-4711-one
-"""
+    password = ("new-"
+        "and-4712-two")
     # the end
 def load():
     pass
@@ -20,2 +23,2 @@
     return 1
-api_key = "old-4713"
+api_key = "new-4714"
'''


def test_secrets_of_several_lines_are_masked_and_nothing_else() -> None:
    redacted = redact_diff(DIFF)
    assert not [secret for secret in ("4711", "4712", "4713", "4714") if secret in redacted]
    assert len(redacted.split("\n")) == len(DIFF.split("\n"))
    same = DIFF
    for secret in ("old-4711-one", "and-4712-two", "old-4713", "new-4714", "new-"):
        same = same.replace(secret, "***")
    assert redacted == same


def test_a_difference_without_secrets_stays() -> None:
    diff = "@@ -1 +1 @@\n-x = 'a'\n+y = 'b'\n\\ No newline at end of file\n"
    assert redact_diff(diff) == diff
