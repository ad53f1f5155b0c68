#!/bin/bash
# The house rules hold.
out=$(tools/tidy) && echo "ok 1 - tidy" || { echo "not ok 1 - tidy"; sed 's/^/# /' <<<"$out"; }
echo 1..1
