#!/usr/bin/env bash
# Formatting, and the rules of who may import what (docs/architecture.md).
set -euo pipefail
cd "$(dirname "$0")/.."

swift format lint --strict -r Sources Tests Package.swift

failed=0
# forbid PATTERN REASON PATH…: no line of the sources may match.
forbid() {
  local pattern=$1 reason=$2
  shift 2
  if grep -rnE --include='*.swift' "$pattern" "$@"; then
    echo "lint: $reason" >&2
    failed=1
  fi
}
forbid 'try!|fatalError\(|as! ' 'nothing that a file or a user reaches may trap' Sources
forbid '^(public |package )?import (Foundation|Dispatch)$' 'no Foundation' Sources
forbid '^(public )?import (Infer|Transforms|ArgumentParser)' 'Checkpoint imports none of ours' Sources/Checkpoint
forbid '^(public )?import (Infer|ArgumentParser|CHDF5|CZip)' 'transforms know models only' Sources/Transforms
forbid '^(public )?import (Transforms|ArgumentParser|CHDF5|CZip)' 'the judge does not know the judged' Sources/Infer
forbid '^import (CHDF5|CHDF5Reader|CZip|CSnappy|CYAML|CKernels|CStatistics|CPNG|CSentencePiece)' 'the command has no C' Sources/ckpt
forbid '\bprint\(' 'libraries do not print' Sources/Checkpoint Sources/Transforms Sources/Infer
forbid 'Swift\.print\(' 'print through Terminal.print: names come from files' \
  $(ls -d Sources/ckpt/* | grep -v Rendering) Sources/ckpt/Rendering/[!T]* Sources/ckpt/Rendering/Ta*
for gate in 'CHDF5 Sources/Checkpoint/HDF5' 'CHDF5Reader Sources/Checkpoint/HDF5' \
  'CZip Sources/Checkpoint/Zip' 'CSnappy Sources/Checkpoint/Snappy' 'CKernels Sources/Infer/Runtime' \
  'CChecksum Sources/Checkpoint/Storage' 'CCrypto Sources/Checkpoint/Inspection' \
  'CSentencePiece Sources/Infer/Text/SentencePiece.swift' 'CYAML Sources/Checkpoint/YAML' 'CPNG Sources/Checkpoint/PNG' 'CStatistics Sources/Checkpoint/Inspection'; do
  read -r module folder <<<"$gate"
  if grep -rlE --include='*.swift' "^import $module\$" Sources | grep -v -e "^$folder/" -e "^$folder$"; then
    echo "lint: $module is imported outside its gate, $folder" >&2
    failed=1
  fi
done
scripts/readme_check.sh || failed=1
[ "$failed" -eq 0 ] && echo "lint: clean"
exit "$failed"
