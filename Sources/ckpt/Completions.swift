import ArgumentParser
import Checkpoint
import Infer
import Transforms

/// What a shell offers for a word; `ckpt --generate-completion-script SHELL` builds it in.
extension CompletionKind {
  /// Files and folders.
  static var model: CompletionKind { .file() }

  static var formats: CompletionKind { .list(FormatRegistry.all.map(\.name)) }
  static var dialects: CompletionKind {
    .list(DialectRegistry.all.map(\.name) + [KerasModel.dialect])
  }
  static var families: CompletionKind { .list(ArchitectureRegistry.all.map(\.name)) }
  static var transforms: CompletionKind { .list(TransformRegistry.all.map(\.name)) }
  static var settings: CompletionKind { .list(ConfigurationKey.all.map { "\($0.name)=" }) }

  /// Names of tensors of the model that the line names, as stored and canonical.
  static var tensors: CompletionKind {
    .custom { words, index, prefix in
      TypedLine(words, at: index, prefix).complete { TensorSearch($0).names }
    }
  }

  /// Names of the values that the model of the line computes.
  static var values: CompletionKind {
    .custom { words, index, prefix in
      TypedLine(words, at: index, prefix).complete { opening in
        guard let model = try? RunnableModel(opening.model()),
          let taps = try? model.taps(["*"])
        else { return [] }
        return taps.map(\.name)
      }
    }
  }
}

/// A command line while it is typed.
private struct TypedLine {
  private let words: [String]
  private let index: Int
  /// What stands before the cursor of the word, and how much of it the shell takes for words of its own.
  private let prefix: String
  private let apart: Int

  init(_ words: [String], at index: Int, _ prefix: String) {
    self.words = words
    self.index = index
    // bash takes a colon for the end of a word.
    var start = min(index, words.count - 1)
    while start >= 2, words[start] == ":" || words[start - 1] == ":" { start -= 1 }
    let before = start < index && index < words.count ? words[start..<index].joined() : ""
    self.prefix = TypedLine.unquoted(before + prefix)
    apart = TypedLine.unquoted(before).count
  }

  /// The words that `names` of the model offers, in order; none where there is no model, because nobody
  /// wants to read an error while typing.
  func complete(_ names: (Opening) -> [String]) -> [String] {
    guard let opening else { return [] }
    var seen: Set<String> = []
    return names(opening).filter {
      $0.hasPrefix(prefix) && Text.printable($0) == $0 && seen.insert($0).inserted
    }.map { name in
      // What follows a colon would be a description to zsh.
      CompletionShell.requesting == .zsh
        ? name.replacing(":", with: "\\:") : String(name.dropFirst(apart))
    }
  }

  /// The first word behind the subcommand that leads to a checkpoint.
  private var opening: Opening? {
    for (place, word) in words.enumerated() where place > 1 && place != index {
      let path = TypedLine.expanded(TypedLine.unquoted(word))
      guard !path.isEmpty, !path.hasPrefix("-"), let opening = try? Opening(path) else { continue }
      return opening
    }
    return nil
  }

  /// A word without its quotes, the last of which may not be there yet.
  private static func unquoted(_ word: String) -> String {
    var result = ""
    var quote: Character?
    var isEscaped = false
    for character in word {
      if isEscaped {
        result.append(character)
        isEscaped = false
      } else if character == "\\", quote != "'" {
        isEscaped = true
      } else if character == quote {
        quote = nil
      } else if quote == nil, character == "'" || character == "\"" {
        quote = character
      } else {
        result.append(character)
      }
    }
    return result
  }

  /// A path whose first part is the user's own folder.
  private static func expanded(_ path: String) -> String {
    guard path == "~" || path.hasPrefix("~/") else { return path }
    return Terminal.environment("HOME") + path.dropFirst()
  }
}
