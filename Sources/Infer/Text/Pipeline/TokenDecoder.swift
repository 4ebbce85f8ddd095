/// How tokens become text again, as the `tokenizers` package does it.
indirect enum TokenDecoder: Sendable {
  case sequence([TokenDecoder])
  case wordPiece(prefix: String, cleans: Bool)
  case byteLevel
  case metaspace(replacement: Unicode.Scalar, removesFirst: Bool)
  /// A suffix marks the end of a word.
  case bytePair(suffix: String)
  /// Tokens `<0x41>` are bytes.
  case byteFallback
  case fuse
  case strip(Unicode.Scalar, start: Int, stop: Int)
  case replace(String, String)

  /// Tokens to tokens; joined they are the text.
  func callAsFunction(_ tokens: [String]) -> [String] {
    switch self {
    case .sequence(let steps): steps.reduce(tokens) { $1($0) }
    case .wordPiece(let prefix, let cleans):
      tokens.enumerated().map { index, token in
        var text = token
        if index > 0 {
          text =
            token.unicodeScalars.starts(with: prefix.unicodeScalars)
            ? String(token.unicodeScalars.dropFirst(prefix.unicodeScalars.count)) : " " + token
        }
        return cleans ? TokenDecoder.cleaned(text) : text
      }
    case .byteLevel: [TokenDecoder.text(ofBytes: tokens)]
    case .metaspace(let replacement, let removesFirst):
      tokens.enumerated().map { index, token in
        var text = String.UnicodeScalarView()
        for scalar in token.unicodeScalars {
          if scalar != replacement {
            text.append(scalar)
          } else if index > 0 || !removesFirst {
            text.append(" ")
          }
        }
        return String(text)
      }
    case .bytePair(let suffix):
      tokens.enumerated().map { index, token in
        TokenDecoder.replacing(suffix, in: token, with: index == tokens.count - 1 ? "" : " ")
      }
    case .byteFallback: TokenDecoder.joiningBytes(tokens)
    case .fuse: [tokens.joined()]
    case .strip(let content, let start, let stop):
      tokens.map { token in
        var scalars = token.unicodeScalars[...]
        var left = start
        while left > 0, scalars.first == content {
          scalars.removeFirst()
          left -= 1
        }
        left = stop
        while left > 0, scalars.last == content {
          scalars.removeLast()
          left -= 1
        }
        return String(scalars)
      }
    case .replace(let pattern, let content):
      tokens.map { TokenDecoder.replacing(pattern, in: $0, with: content) }
    }
  }

  /// Bytes from their visible characters; a token with another character stands for itself.
  static func text(ofBytes tokens: [String]) -> String {
    var bytes: [UInt8] = []
    for token in tokens {
      var own: [UInt8]? = []
      for scalar in token.unicodeScalars {
        guard let byte = ByteLevel.bytes[scalar.value] else {
          own = nil
          break
        }
        own?.append(byte)
      }
      bytes += own ?? Array(token.utf8)
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func joiningBytes(_ tokens: [String]) -> [String] {
    var result: [String] = []
    var bytes: [UInt8] = []
    func flush() {
      guard !bytes.isEmpty else { return }
      if let text = String(validating: bytes, as: UTF8.self) {
        result.append(text)
      } else {
        result += repeatElement("\u{fffd}", count: bytes.count)
      }
      bytes = []
    }
    for token in tokens {
      if token.utf8.count == 6, token.hasPrefix("<0x"), token.hasSuffix(">"),
        let byte = UInt8(token.dropFirst(3).prefix(2), radix: 16)
      {
        bytes.append(byte)
      } else {
        flush()
        result.append(token)
      }
    }
    flush()
    return result
  }

  /// `str.replace` by code points.
  static func replacing(_ pattern: String, in text: String, with content: String) -> String {
    let pattern = Array(pattern.utf8)
    guard let head = pattern.first else { return text }
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var position = 0
    while position < bytes.count {
      if bytes[position] == head, bytes[position...].starts(with: pattern) {
        result += content.utf8
        position += pattern.count
      } else {
        result.append(bytes[position])
        position += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func cleaned(_ text: String) -> String {
    [
      (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
      (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
    ].reduce(text) { replacing($1.0, in: $0, with: $1.1) }
  }
}
