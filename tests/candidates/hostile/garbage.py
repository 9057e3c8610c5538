# SPDX-License-Identifier: Apache-2.0
"""Answers the first request and says anything but an answer to the second."""

import json
import sys

print(json.dumps({"id": json.loads(sys.stdin.readline())["id"], "ok": True}), flush=True)
sys.stdin.readline()
print("all done \x1b[32mOK\x1b[0m", flush=True)
sys.stdin.read()
