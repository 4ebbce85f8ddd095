"""`convert --to torchcrf`: torchcrf's CRF loads it, decodes the same paths and gives the same log-likelihoods.

pytorch-crf 0.7.2 is installed into the work folder.
"""
import subprocess
import sys

import numpy as np
import torch

from common import FIXTURES, WORK, ckpt, convert, load_json, place, require, run_checks

PACKAGE = 'pytorch-crf==0.7.2'
FIXTURE = 'b4k-crf'
SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]']


def torchcrf():
    folder = WORK / 'pytorch-crf'
    if not folder.exists():
        install = [sys.executable, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps']
        subprocess.run(install + ['--target', str(folder), PACKAGE], check=True)
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    from torchcrf import CRF
    return CRF


def texts():
    random = np.random.RandomState(5)
    return [' '.join(random.choice(list('abcdefghijklmnop'), random.randint(1, 9))) for _ in range(40)]


def load(suffix, *options):
    target = place('torchcrf', 'crf' + suffix)
    convert(FIXTURES / FIXTURE / 'model.h5', target, '--to', 'torchcrf', *options)
    if suffix == '.json':
        document = load_json(target)
        state = {key: torch.tensor(document[key]) for key in ('transitions', 'start_transitions', 'end_transitions')}
    elif suffix == '.safetensors':
        from safetensors.torch import load_file
        state = load_file(str(target))
    else:
        state = torch.load(str(target), weights_only=True)
    layer = torchcrf()(len(state['transitions']), batch_first=True)
    layer.load_state_dict(state)
    return layer


def check(suffix, limits):
    layer = load(suffix, *(['--set', 'crf_starts=0,2', '--set', 'crf_ends=1'] if limits else []))
    vocabulary = place('torchcrf', 'vocab.txt')
    letters = [chr(97 + i) for i in range(26)]
    vocabulary.write_text('\n'.join(SPECIAL + letters) + '\n')
    model = [FIXTURES / FIXTURE / 'model.h5', '--vocab', vocabulary]
    sentences = texts()
    options = ['--starts', '0,2', '--ends', '1'] if limits else ['--starts', 'any', '--ends', 'any']
    answers = ckpt('run', *model, '--task', 'tag', '--marginals', *options, *sentences)['results']
    rows = [[2] + [5 + letters.index(letter) for letter in text.split()] + [3] for text in sentences]
    ids = np.zeros((len(rows), max(map(len, rows))), 'int32')
    for row, filled in zip(rows, ids):
        filled[:len(row)] = row
    inputs, outputs = place('torchcrf', 'in.npz'), place('torchcrf', 'out.npz')
    np.savez(inputs, input_ids=ids)
    ckpt('run', model[0], '--inputs', inputs, '--outputs', outputs, '--overwrite')
    emissions, mask = torch.tensor(np.load(outputs)['crf_emissions']), torch.tensor(ids > 0)
    worst = 0
    with torch.no_grad():
        paths = layer.decode(emissions, mask)
        tags = torch.tensor([path + [0] * (ids.shape[1] - len(path)) for path in paths])
        likelihoods = layer(emissions, tags, mask, reduction='none').tolist()
    for text, answer, path, likelihood in zip(sentences, answers, paths, likelihoods):
        mine = [int(token['label'].split('_')[1]) for token in answer['tokens']]
        require(mine == path, '%s: %s, expected %s' % (text, mine, path))
        found = answer['score'] - answer['log_partition']
        require(abs(found - likelihood) < 1e-4 * max(1, abs(likelihood)), '%s: %r, expected %r' % (text, found, likelihood))
        worst = max(worst, abs(found - likelihood))
    return '%d texts, log-likelihoods to %.1e' % (len(answers), worst)


run_checks([
    ('torchcrf: %s%s' % (suffix, ', first and last labels limited' if limits else ''), check, suffix, limits)
    for suffix, limits in (('.pt', False), ('.safetensors', True), ('.json', False), ('.json', True))
])
