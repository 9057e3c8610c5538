# SPDX-License-Identifier: Apache-2.0
"""Sends answers before the requests they would belong to."""

import json
import sys

identity = json.loads(sys.stdin.readline())["id"]
for _ in range(1000):
    print(json.dumps({"id": identity, "ok": True}), flush=True)
sys.stdin.read()
