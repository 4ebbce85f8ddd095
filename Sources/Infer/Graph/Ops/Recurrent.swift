public import Checkpoint

/// A recurrent layer over time, after its inputs were projected:
/// `(projected [b, t, gates · units], recurrent kernel [units, gates · units], recurrent bias
/// [gates · units], mask [b, t], initial h [b, units], initial c [b, units] (LSTM only)) →
/// [b, t, units]`, the hidden state of each step.
///
/// `projected` is `x · kernel + bias`, one product for all steps. Gates stand one after the other in
/// Keras' order. A step whose mask is 0 keeps the state and answers it once more.
///
/// What Keras adds to this is for other nodes: it answers zeros for masked steps when
/// `zero_output_for_mask` is set or no step was visible yet, and for `go_backwards` the steps in the
/// order in which they were computed.
public struct Recurrent: Op {
  /// What one step computes, of its projected inputs `x` and `y = h · U + bias`.
  public enum Cell: Sendable, Hashable {
    /// `h = activation(x + y)`.
    case simple
    /// Gates i, f, g, o: `c = f · c + i · g`, `h = o · activation(c)`, where
    /// `g = activation(x_g + y_g)` and the others are `recurrentActivation(x + y)`
    /// (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).
    case lstm
    /// Gates z, r and a candidate: `h = z · h + (1 − z) · candidate`. The candidate is
    /// `activation(x + r · y)` with `resetAfter`, as cuDNN has it, and else
    /// `activation(x + (r · h) · U + bias)` (arXiv 1406.1078).
    case gru(resetAfter: Bool)

    /// How many times `units` the projected inputs are wide.
    public var gates: Int {
      switch self {
      case .simple: 1
      case .lstm: 4
      case .gru: 3
      }
    }
  }

  public let cell: Cell
  public let units: Int
  /// Of the candidate, and of an LSTM's output.
  public let activation: Activation
  /// Of the gates; a simple cell has none.
  public let recurrentActivation: Activation
  /// Whether the last step comes first; results stay in the order of the inputs.
  public let isReversed: Bool
  /// Whether the result is `[b, t, 2 · units]`, `h` and then `c`; only an LSTM can.
  public let returnsCells: Bool

  public init(
    cell: Cell, units: Int, activation: Activation = .tanh,
    recurrentActivation: Activation = .sigmoid, isReversed: Bool = false, returnsCells: Bool = false
  ) {
    self.cell = cell
    self.units = units
    self.activation = activation
    self.recurrentActivation = recurrentActivation
    self.isReversed = isReversed
    self.returnsCells = returnsCells
  }

  public var name: String {
    switch cell {
    case .simple: "recurrence"
    case .lstm: "lstm"
    case .gru: "gru"
    }
  }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    let (width, overflow) = units.multipliedReportingOverflow(by: cell.gates)
    guard units > 0, !overflow else { throw ShapeMismatch("at least one unit, not \(units)") }
    guard !returnsCells || cell == .lstm else { throw ShapeMismatch("an LSTM to return cells of") }
    let states = cell == .lstm ? 2 : 1
    guard operands.count == 4 + states, operands[0].count == 3, operands[0][2] == .fixed(width)
    else {
      throw ShapeMismatch(
        "projected inputs [b, t, \(width)], a recurrent kernel, a recurrent bias, a mask "
          + "and \(states == 2 ? "initial h and c" : "an initial h")")
    }
    guard operands[1] == [.fixed(units), .fixed(width)], operands[2] == [.fixed(width)] else {
      throw ShapeMismatch("a recurrent kernel [\(units), \(width)] and bias [\(width)]")
    }
    let (batch, length) = (operands[0][0], operands[0][1])
    guard operands[3] == [batch, length] else {
      throw ShapeMismatch("a mask [\(batch), \(length)]")
    }
    guard operands[4...].allSatisfy({ $0 == [batch, .fixed(units)] }) else {
      throw ShapeMismatch("initial states [\(batch), \(units)]")
    }
    return [batch, length, .fixed(returnsCells ? 2 * units : units)]
  }
}
