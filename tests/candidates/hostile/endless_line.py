# SPDX-License-Identifier: Apache-2.0
"""Answers with one line that does not end."""

import sys

sys.stdin.readline()
while True:
    sys.stdout.write("x" * 65536)
