# Sourced by benchmarks: how one run is timed and printed. PYTHON measures; CKPT is the built command.
python=${PYTHON:-python3}

# once LOG COMMAND…: seconds and peak KB of one run go to LOG.
once() {
  "$python" - "$@" <<'PY'
import os, subprocess, sys, time
log, command = sys.argv[1], sys.argv[2:]
start = time.perf_counter()
child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(child.pid, 0)
seconds = time.perf_counter() - start
if status:
    sys.exit(f'failed: {command}')
with open(log, 'a') as file:
    file.write(f'{seconds} {usage.ru_maxrss}\n')
PY
}
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
peak() { sort -k2 -n "$1" | awk 'END { printf "%.0f", $2 / 1000 }'; }
row() { # row NAME LOG CP
  awk -v name="$1" -v t="$(median "$2")" -v cp="$(median "$3")" -v peak="$(peak "$2")" \
    'BEGIN { printf "%-34s %8.1f ms  %5.2f × cp  peak %s MB\n", name, t * 1000, t / cp, peak }'
}
