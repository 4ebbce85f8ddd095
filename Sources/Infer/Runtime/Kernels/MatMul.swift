import CKernels
import Checkpoint

/// The gate to matrix products: everything that multiplies matrices comes through here.
///
/// The right operand is packed first: weights when they are loaded, values when they are made.
/// Behind the gate stand the kernels of `CKernels`. They were measured against OpenBLAS 0.3.21, one
/// thread, AVX-512: as fast for a thousand rows, 1.1 times for 128, twice for 16 and fewer,
/// because OpenBLAS packs weights anew for every product; and they start no threads of their own.
enum MatMul {
  /// Floats of scratch memory for one product.
  static let buffer: Int = CKPT_PRODUCT_BUFFER
  /// Rows that are worked on at a time.
  static let rowBlock: Int = CKPT_ROW_BLOCK
  /// The columns of a packed panel.
  static let panel = Int(ckpt_panel())

  /// The number of panels of a matrix.
  static func panels(columns: Int) -> Int { (columns + panel - 1) / panel }

  /// Floats of a packed matrix.
  static func panelCount(inner: Int, columns: Int) -> Int {
    panels(columns: columns) * panel * inner
  }

  /// Packs a matrix `[inner, columns]`, or `[columns, inner]` when `transposed`.
  ///
  /// - Parameter stride: floats from one row of the stored matrix to the next.
  static func pack(
    _ matrix: UnsafePointer<Float>, stride: Int, transposed: Bool, inner: Int, columns: Int,
    into panels: UnsafeMutablePointer<Float>
  ) {
    ckpt_pack(matrix, stride, transposed ? 1 : 0, inner, columns, panels)
  }

  /// A block of floats in rows: where it starts, and how far apart its rows are.
  struct Rows {
    let data: UnsafeMutablePointer<Float>
    let stride: Int
  }

  /// `result [rows, columns] = activation(scale · a [rows, inner] · b + bias)`, on this thread.
  ///
  /// - Parameters:
  ///   - panels: `b`, packed.
  ///   - scratch: ``buffer`` floats.
  static func multiply(
    _ a: Rows, _ panels: UnsafePointer<Float>, into result: Rows,
    rows: Int, columns: Int, inner: Int, scale: Float = 1,
    bias: UnsafePointer<Float>? = nil, activation: Activation = .linear,
    scratch: UnsafeMutablePointer<Float>
  ) {
    ckpt_multiply(
      rows, columns, inner, a.data, a.stride, scale, panels, bias, activation.code, result.data,
      result.stride, scratch)
  }

  /// The product whose left operand has a row for each place of a window: what the window sees there.
  ///
  /// - Parameters:
  ///   - first: the place of the first row.
  ///   - panels: the kernel `[window · channels, columns]`, packed.
  ///   - scratch: ``buffer`` floats.
  static func convolve(
    _ windows: ckpt_windows, first: Int, _ panels: UnsafePointer<Float>, into result: Rows,
    rows: Int, columns: Int, bias: UnsafePointer<Float>?, activation: Activation,
    scratch: UnsafeMutablePointer<Float>
  ) {
    withUnsafePointer(to: windows) {
      ckpt_convolve(
        $0, first, rows, columns, panels, bias, activation.code, result.data, result.stride, scratch
      )
    }
  }

  /// `result [columns] = scale · a [inner] · b` for one row, with `b` as it lies: packing a matrix
  /// for a single row costs more than the product.
  ///
  /// - Parameter matrix: `[inner, columns]`, or `[columns, inner]` when `transposed`.
  static func multiplyRow(
    _ a: UnsafePointer<Float>, _ matrix: Rows, transposed: Bool,
    into result: UnsafeMutablePointer<Float>, columns: Int, inner: Int, scale: Float = 1
  ) {
    ckpt_multiply_row(
      columns, inner, a, scale, matrix.data, matrix.stride, transposed ? 1 : 0, result)
  }
}
