#!/bin/sh
# Creates or refreshes the virtual environment .venv/NAME from requirements-NAME.txt (and requirements-NAME-nodeps.txt,
# installed without dependencies, where there is one). Does nothing when the environment already matches.
# Usage: scripts/python/venv.sh NAME        PYTHON=/path/to/python3.11 to choose the interpreter
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
wanted=3.11

known() { (cd "$here" && ls requirements-*.txt | grep -v -e '-nodeps' | sed 's/^requirements-//; s/\.txt$//' | tr '\n' ' '); }

if [ $# -ne 1 ]; then
    echo "usage: $0 NAME    (one of: $(known))" >&2
    exit 64
fi
name=$1
requirements=$here/requirements-$name.txt
nodeps=$here/requirements-$name-nodeps.txt
if [ ! -f "$requirements" ]; then
    echo "$0: no environment called '$name'; there are: $(known)" >&2
    exit 64
fi

suits() { [ "$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$wanted" ]; }

python=
for candidate in ${PYTHON:-python$wanted python3}; do
    if suits "$candidate"; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "$0: Python $wanted is needed (the pinned packages exist for it); install it or set PYTHON=/path/to/python$wanted" >&2
    exit 1
fi

folder=$root/.venv/$name
stamp=$folder/.requirements
files=$requirements
[ ! -f "$nodeps" ] || files="$requirements $nodeps"
# shellcheck disable=SC2086  # a list of files
digest=$({ "$python" --version; cat $files; } | cksum)

if [ -x "$folder/bin/python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$digest" ]; then
    echo "environment $name is up to date"
    exit 0
fi

echo "environment $name: installing into .venv/$name (the first time this downloads some hundred megabytes)"
rm -f "$stamp"
"$python" -m venv --clear "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
if [ -f "$nodeps" ]; then
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$nodeps"
fi
printf '%s\n' "$digest" > "$stamp"
echo "environment $name is ready"
