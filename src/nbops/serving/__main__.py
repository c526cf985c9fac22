"""``python -m nbops.serving --package DIR [options]``: serve a package folder from an ordinary checkout."""

from __future__ import annotations

import argparse
import sys

from .app import main

if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--package", required=True)
    known, rest = parser.parse_known_args()
    sys.exit(main(known.package, rest))
