"""Every layer of Keras, from files that this Keras writes: `ckpt run` computes what it computes.

The cases are those of fixtures/keras_layers.py, in the version of the environment that runs this (2.15 or 3). Each goes
through a whole `.h5`, a `.weights.h5` beside the configuration, and a `.keras`. A case that ckpt refuses has a line of its own
and is counted apart, neither passed nor failed.
"""
import os
import subprocess
import sys
import time

from common import CHECKS_FAILED, CKPT, FIXTURES, ROUNDING, Failed, Worst, place, require

sys.path.insert(0, str(FIXTURES))

import numpy as np  # noqa: E402

from keras_layers import CASES, K3, input_names, output_names, outputs_of, randomize  # noqa: E402

VERSION = 'keras3' if K3 else 'keras2'
# TensorFlow takes the weights of bicubic interpolation from a table of 1024 steps.
TOLERANCES = {('keras2', 'up_sampling', 'bicubic'): 1e-3}
UNSUPPORTED = 2
# Keras 2.15 writes no archive of a slice with an ellipsis.
UNSAVED = {('keras2', 'tf_shapes')}
# What the code of Lambda layers does.
LAMBDAS = {'lambdas': ['mean=mean', 'twice=scale=2'], 'mask_through_recurrent': ['unmasked=identity']}
refused = []


def forms(model, name):
    """The files to run and what else the command needs: (form, file, options)."""
    whole, weights, config, archive = (place('keras-layers', VERSION, name + end) for end in ('.h5', '.weights.h5', '.json', '.keras'))
    config.write_text(model.to_json())
    model.save_weights(weights)
    model.save(whole)
    said = [word for function in LAMBDAS.get(name, []) for word in ('--lambda', function)]
    made = [('h5', whole, said), ('weights.h5', weights, ['--config', config] + said)]
    if (VERSION, name) not in UNSAVED:
        model.save(archive)
        made.append(('keras', archive, said))
    return made


def run(model, options, inputs, outputs):
    """Whether the command ran; where it says that it cannot, why."""
    command = [CKPT, 'run', str(model), '--inputs', str(inputs), '--outputs', str(outputs), '--quiet', '--overwrite', *map(str, options)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if result.returncode == UNSUPPORTED:
        return ' '.join(result.stderr.split())[:300]
    require(result.returncode == 0, 'ended with %d: %s' % (result.returncode, result.stderr.strip()[:1000]))
    return None


def arrange(found, names):
    """The outputs in the model's order: by the names of their layers, the second of a layer as NAME_1 or the next number that is free."""
    counts, arrays, rest = {}, [], list(found.files)
    for name in names:
        number = counts.get(name, -1) + 1
        while number > 0 and '%s_%d' % (name, number) in names:
            number += 1
        counts[name] = number
        key = name if number == 0 else '%s_%d' % (name, number)
        if key not in rest:
            require(len(found.files) == len(names), 'there is no output %s: %s' % (key, ' '.join(found.files)))
            return [found[key] for key in found.files]
        arrays.append(found[key])
    return arrays


def check(case):
    model, bench = case.build()
    randomize(model, case.name)
    wanted = [np.asarray(output, 'float32') for output in outputs_of(case, model, bench)]
    arrays = {name: array.astype('int32') if array.dtype == bool else array for name, array in bench.arrays.items()}
    require(sorted(arrays) == sorted(input_names(model)), 'the inputs are called %s' % input_names(model))
    inputs = place('keras-layers', VERSION, case.name + '.in.npz')
    np.savez(inputs, **arrays)
    worst, reasons = Worst(), []
    for form, path, options in forms(model, case.name):
        outputs = place('keras-layers', VERSION, '%s.%s.out.npz' % (case.name, form))
        reason = run(path, options, inputs, outputs)
        if reason:
            reasons.append('%s: %s' % (form, reason))
            continue
        for name, ours, theirs in zip(output_names(model), arrange(np.load(outputs), output_names(model)), wanted):
            worst.compare('%s of %s' % (name, form), ours, theirs, TOLERANCES.get((VERSION, case.name, name), ROUNDING))
    if reasons:
        refused.append(case.name)
        print('refused  %s %s: %s' % (VERSION, case.name, ' | '.join(reasons)), flush=True)
    if worst.count == 0:
        return None
    return str(worst)


def main(*words):
    """A line for each case, as the other checks have them, and one for each that was refused."""
    require(os.access(CKPT, os.X_OK), 'CKPT=%s cannot be run' % CKPT)
    failures, passed = 0, 0
    for case in CASES:
        name = '%s layers %s' % (VERSION, case.name)
        if words and not any(word in name for word in words):
            continue
        start = time.monotonic()
        try:
            found = check(case)
        except Exception as error:  # a library's own errors are failures of the check too
            failures += 1
            kind = '' if isinstance(error, Failed) else type(error).__name__ + ': '
            print('FAIL  %s: %s%s' % (name, kind, ' | '.join(str(error).strip().splitlines()[:12])), flush=True)
            continue
        if found:
            passed += 1
            print('ok    %s: %s (%.1f s)' % (name, found, time.monotonic() - start), flush=True)
    print('%s layers: %d cases equal, %d differ, %d refused%s' % (VERSION, passed, failures, len(refused), ': ' + ' '.join(refused) if refused else ''), flush=True)
    sys.exit(CHECKS_FAILED if failures else 0)


if __name__ == '__main__':
    main(*sys.argv[1:])
