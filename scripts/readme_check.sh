#!/usr/bin/env bash
# README.md and README.zh-CN.md have the same code blocks and as many sections, table rows and links, in one order.
# Says which block, row or link is not in step. Usage: scripts/readme_check.sh [README.md README.zh-CN.md]
set -euo pipefail
english=${1:-README.md}
chinese=${2:-README.zh-CN.md}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# split FILE PREFIX: each code block into a file of its own, and their numbers and lines into PREFIX.index.
split() {
  awk -v prefix="$2" '
    /^```/ && !inside { inside = 1; number++; name = sprintf("%s.%03d", prefix, number); printf "%d\n", NR > (prefix ".index") }
    inside { print > name }
    /^```$/ && inside && started { inside = 0; started = 0; close(name); next }
    inside { started = 1 }
  ' "$1"
}
split "$english" "$folder/en"
split "$chinese" "$folder/zh"

failed=0
fail() {
  echo "readme: $*" >&2
  failed=1
}
counts=($(wc -l <"$folder/en.index") $(wc -l <"$folder/zh.index"))
[ "${counts[0]}" -eq "${counts[1]}" ] || fail "$english has ${counts[0]} code blocks, $chinese ${counts[1]}"
for ((number = 1; number <= counts[0] && number <= counts[1]; number++)); do
  name=$(printf %03d "$number")
  cmp -s "$folder/en.$name" "$folder/zh.$name" && continue
  fail "code block $number differs: $english line $(sed -n "${number}p" "$folder/en.index")," \
    "$chinese line $(sed -n "${number}p" "$folder/zh.index") (- is English, + Chinese)"
  diff -u --label English --label Chinese "$folder/en.$name" "$folder/zh.$name" | tail -n +3 | head -20 >&2 || true
  # After a block that only one has, all others would differ.
  [ "${counts[0]}" -eq "${counts[1]}" ] || break
done

# Outside of the blocks: headings by their depth, rows of tables, links.
outline() {
  awk '/^```/ { inside = !inside; next } !inside' "$1" | grep -oE '^#+ |^\||\]\([^)]*\)' | grep -v 'README'
}
if ! difference=$(diff <(outline "$english") <(outline "$chinese")); then
  fail "headings, table rows or links differ (< English, > Chinese):"
  head -12 <<<"$difference" >&2
fi
exit "$failed"
