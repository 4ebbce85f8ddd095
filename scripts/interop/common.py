"""What the checks of every peer share: the list of checks and its report, the command, and comparing with fixtures.

A check is a name, a function and its arguments. The function returns a short text about what it found, or raises.
"""
import json
import os
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / 'fixtures'
WORK = Path(os.environ.get('INTEROP_WORK') or ROOT / '.interop')
CKPT = os.environ.get('CKPT') or str(ROOT / '.build' / 'release' / 'ckpt')

# Ours against the library's float32: what rounding may differ by, relative to a value's largest element.
ROUNDING = 1e-5
# bert4keras' ALBERT has 1e-12 in its embeddings and heads and 1e-7 in its blocks; transformers has one epsilon for all.
EPSILONS = 1e-6
CHECKS_FAILED = 3  # the exit code of a peer that ran to its end


class Failed(Exception):
    """A check that did not hold."""


def require(condition, message):
    if not condition:
        raise Failed(message)


def run_checks(checks):
    """Runs (name, function, *arguments) checks, those whose name holds one of the words in argv; a line for each."""
    words = sys.argv[1:]
    failures = 0
    if not os.access(CKPT, os.X_OK):
        sys.exit('CKPT=%s cannot be run' % CKPT)
    WORK.mkdir(parents=True, exist_ok=True)
    for name, function, *arguments in checks:
        if words and not any(word in name for word in words):
            continue
        start = time.monotonic()
        try:
            detail = function(*arguments)
            print('ok    %s: %s (%.1f s)' % (name, detail, time.monotonic() - start), flush=True)
        except Exception as error:  # a library's own errors are failures of the check too
            failures += 1
            lines = str(error).strip().splitlines() or ['']
            print('FAIL  %s: %s%s' % (name, '' if isinstance(error, Failed) else type(error).__name__ + ': ', ' | '.join(lines[:12])), flush=True)
            if os.environ.get('INTEROP_TRACE'):
                traceback.print_exc()
    sys.exit(CHECKS_FAILED if failures else 0)


# The command


def ckpt(*arguments, code=0):
    """What the command says as JSON; `code` is the exit code that is expected."""
    command = [CKPT, *map(str, arguments), '--json']
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    shown = 'ckpt ' + ' '.join(map(str, arguments))
    require(result.returncode == code, '%s ended with %d, not %d: %s' % (shown, result.returncode, code, result.stderr.strip()))
    return json.loads(result.stdout) if result.stdout.strip() else {}


def place(*parts):
    """A fresh path in the work folder; what an earlier run left there is replaced by --overwrite."""
    path = WORK.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def label(*parts):
    """A file's stem or a folder's name: no suffix, which would make the command write a file."""
    return re.sub(r'[^\w-]+', '-', '-'.join(map(str, parts))).strip('-')


def convert(source, target, *options):
    """Converts, with the command's own proof; an existing target is replaced."""
    return ckpt('convert', source, target, '--overwrite', *options)


def load_json(path):
    return json.loads(Path(path).read_text())


# Numbers


class Expected:
    """The values that a fixture's original library computed, and how precisely it did."""

    def __init__(self, fixture, mask='bidirectional'):
        """`mask`, or which other inputs (long) or half of the model (encoder, decoder) the values are of."""
        folder = FIXTURES / fixture
        halves = {'bidirectional': 'expected', 'encoder': 'encoder.expected', 'decoder': 'decoder.expected'}
        stem = halves.get(mask, 'expected.' + mask)
        inputs = {'long': 'inputs.long.npz', 'decoder': 'decoder.inputs.npz'}.get(mask, 'inputs.npz')
        self.inputs = dict(np.load(folder / inputs))
        self.single = np.load(folder / (stem + '.npz'))
        self.double = np.load(folder / (stem + '.f64.npz'))
        self.names = self.single.files

    def __contains__(self, name):
        return name in self.names

    def __getitem__(self, name):
        return self.single[name]

    def tolerance(self, name):
        """Rounding, or four times what the library itself differs by between its two precisions."""
        return max(ROUNDING, 4 * difference(self.single[name], self.double[name]))


class Worst:
    """Collects comparisons; remembers the one nearest to its limit."""

    def __init__(self, slack=0.0):
        self.slack, self.count, self.largest, self.name = slack, 0, 0.0, ''

    def compare(self, name, ours, theirs, tolerance=ROUNDING):
        """Fails unless `ours` is `theirs` to within the tolerance, relative to the largest element."""
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        require(ours.shape == theirs.shape, '%s has shape %s, expected %s' % (name, ours.shape, theirs.shape))
        found = difference(ours, theirs)
        limit = tolerance + self.slack
        require(found <= limit, '%s differs by %.2g of its largest element (limit %.2g)' % (name, found, limit))
        self.count += 1
        if found >= self.largest:
            self.largest, self.name = found, name

    def __str__(self):
        require(self.count > 0, 'nothing was compared')
        return '%d values, largest difference %.1e (%s)' % (self.count, self.largest, self.name)


def difference(ours, theirs):
    """The largest difference relative to the largest element; infinite where either is not finite."""
    ours, theirs = np.asarray(ours, 'float64'), np.asarray(theirs, 'float64')
    found = np.abs(ours - theirs).max(initial=0)
    largest = np.abs(theirs).max(initial=0)
    if not np.isfinite(found):
        return float('inf')
    return float(found / largest) if largest > 0 else float(found)


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def padding_mask(tokens):
    """bert4keras' rule: token id 0 is padding, except at the first position."""
    mask = tokens > 0
    mask[:, 0] = True
    return mask


# Fill-mask: the trained fixture has no recorded layers, but bert4keras' answers.


def fill_mask_answers(fixture='tiny-albert'):
    return load_json(FIXTURES / fixture / 'fill_mask.json')['answers']


def compare_fill_mask(probabilities, tolerance=2e-5):
    """Compares answers with the recorded ones; `probabilities(answer)` gives a row over the vocabulary."""
    worst = Worst()
    answers = fill_mask_answers()
    for number, answer in enumerate(answers):
        row = np.asarray(probabilities(answer))
        wanted = [candidate['id'] for candidate in answer['top']]
        found = np.argsort(-row, kind='stable')[:len(wanted)].tolist()
        require(found == wanted, 'sentence %d: best ids %s, bert4keras had %s' % (number, found, wanted))
        worst.compare('sentence %d' % number, row[wanted], [candidate['probability'] for candidate in answer['top']], tolerance)
    return str(worst)
