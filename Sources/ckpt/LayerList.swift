import ArgumentParser
import Checkpoint
import Infer

/// `ckpt layers`: the classes of Keras layers that ckpt knows.
struct LayerList: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    commandName: "layers", abstract: "List the classes of Keras layers.",
    discussion: """
      A layer of another class is told by its name and its configuration; what comes before it can still be \
      run and tapped. --markdown prints docs/keras-layers.md.
      """)

  @Flag(help: "Print the table as Markdown.") var markdown = false
  @OptionGroup var output: OutputFlags

  private struct Row {
    var name: String
    var others: [String]
    var isComputed: Bool
  }

  /// By name: the registry goes by files.
  private var rows: [Row] {
    KerasLayerRegistry.all.map { type in
      Row(
        name: type.classNames.first ?? "", others: Array(type.classNames.dropFirst()),
        isComputed: RunnableKeras.computes(type))
    }.sorted { Natural.less($0.name, $1.name) }
  }

  func run() {
    if output.json {
      print(
        JSON.object([
          .init(
            "layers",
            .array(
              rows.map {
                .object([
                  .init("name", .string($0.name)),
                  .init("aliases", .array($0.others.map { .string($0) })),
                  .init("computed", .bool($0.isComputed)),
                ])
              }))
        ]).pretty)
    } else if markdown {
      printMarkdown()
    } else {
      var table = Table(
        [.left, .left, .left], header: ["class", "computed", "described with it"], names: [0],
        wrapping: 2)
      for row in rows {
        table.add(row.name, row.isComputed ? "yes" : "no", row.others.joined(separator: ", "))
      }
      table.print()
    }
  }

  private func printMarkdown() {
    print(
      """
      # Layers of Keras

      Made by `ckpt layers --markdown`: what `KerasLayerRegistry` holds. A class of the second column has the same
      description: an older name, or a sibling. Names are also read the name of a package before them (`keras_nlp>…`). *Computed* means that the engine and the Float64 reference
      run it; the others are described only: their variables and shapes are known.

      | class | described with it | computed |
      |---|---|---|
      """)
    for row in rows {
      let others = row.others.map { "`\($0)`" }.joined(separator: ", ")
      print("| `\(row.name)` | \(others) | \(row.isComputed ? "yes" : "no") |")
    }
    for (title, names) in [
      ("Operations (of TensorFlow, of `keras.ops`)", OperationLayer.operations),
      ("Functions for Lambda layers (`--lambda NAME=FUNCTION`)", LambdaFunction.names),
    ] {
      print("")
      print("## \(title)")
      print("")
      print(names.map { "`\($0)`" }.joined(separator: ", "))
    }
  }
}
