#!/bin/bash
# The README and the examples as an ordinary user: apart from as_user.sh, which has enough to do.
exec bash "${SRCDIR:=$PWD}/test/cli/as_user.sh" readme
