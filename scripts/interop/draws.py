"""Whether draws follow a distribution: what the checks of sampling share."""
import math

from common import require


def chi_square(counts, probabilities):
    """The statistic and its degrees of freedom, tokens expected less than five times counted together."""
    total = sum(counts.values())
    require(set(counts) <= set(probabilities), 'drew %s, which cannot be' % (set(counts) - set(probabilities)))
    cells, rest = [], [0, 0.0]
    for token, probability in probabilities.items():
        if total * probability < 5:
            rest = [rest[0] + counts[token], rest[1] + total * probability]
        else:
            cells.append((counts[token], total * probability))
    if rest[1] > 0:
        cells.append(tuple(rest))
    return sum((seen - wanted) ** 2 / wanted for seen, wanted in cells), len(cells) - 1


def far(freedom):
    """A bound that chance passes once in a hundred thousand times (Wilson and Hilferty)."""
    return freedom * (1 - 2 / (9 * freedom) + 4.27 * math.sqrt(2 / (9 * freedom))) ** 3 if freedom else 1e-9
