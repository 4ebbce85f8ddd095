import COpenBLAS
import Checkpoint

/// The gate to matrix products: everything that multiplies matrices comes through here.
enum MatMul {
  static func panelCount(inner: Int, columns: Int) -> Int { inner * columns }

  static func pack(
    _ matrix: UnsafePointer<Float>, stride: Int, transposed: Bool, inner: Int, columns: Int,
    into panels: UnsafeMutablePointer<Float>
  ) {}

  /// `c [m, n] = alpha · a [m, k] · b`, on the calling thread; `b` is `[k, n]`, or `[n, k]`.
  static func multiply(
    _ a: UnsafePointer<Float>, _ aStride: Int, _ b: UnsafePointer<Float>, _ bStride: Int,
    transposed: Bool, into c: UnsafeMutablePointer<Float>, _ cStride: Int,
    m: Int, n: Int, k: Int, alpha: Float = 1
  ) {
    _ = single
    guard m > 0, n > 0 else { return }
    cblas_sgemm(
      CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, Int32(m), Int32(n),
      Int32(k), alpha, a, Int32(aStride), b, Int32(max(bStride, 1)), 0, c, Int32(cStride))
  }

  /// The workers divide the work among themselves; OpenBLAS must not start threads of its own.
  private static let single: Void = openblas_set_num_threads(1)
}
