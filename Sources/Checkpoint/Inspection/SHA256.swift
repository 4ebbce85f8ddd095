import CCrypto

/// SHA-256, fed in pieces; the only gate to libcrypto.
@safe public struct SHA256: ~Copyable {
  private let context: OpaquePointer?

  public init() {
    unsafe context = EVP_MD_CTX_new()
    if let context = unsafe context { _ = unsafe EVP_DigestInit_ex(context, EVP_sha256(), nil) }
  }

  deinit { unsafe EVP_MD_CTX_free(context) }

  public mutating func update(_ bytes: RawSpan) {
    guard let context = unsafe context else { return }
    // The pointer is used inside the closure only, for as many bytes as it has.
    unsafe bytes.withUnsafeBytes {
      _ = unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count)
    }
  }

  public mutating func update(_ bytes: [UInt8]) { unsafe update(bytes.span.bytes) }

  /// The digest as lower-case hexadecimal digits; nothing can be added after it.
  public consuming func hex() -> String { Hex.encode(bytes()) }

  /// The digest's 32 bytes; nothing can be added after it.
  public consuming func bytes() -> [UInt8] {
    var digest = [UInt8](repeating: 0, count: 32)
    if let context = unsafe context {
      _ = unsafe digest.withUnsafeMutableBufferPointer {
        unsafe EVP_DigestFinal_ex(context, $0.baseAddress, nil)
      }
    }
    return digest
  }
}
