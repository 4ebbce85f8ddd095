import ArgumentParser
import Checkpoint
import Transforms

/// `ckpt transforms`: the list of transforms, and what each promises and takes.
struct Transforms: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the transforms for convert --apply, or explain one.",
    discussion: """
      Contracts: exact (the same bits), rounding (the same function up to rounding), lossy (another \
      function; the error is measured and reported). A conversion checks them.
      """)

  @Argument(help: "Explain this one.") var name: String?
  @OptionGroup var output: OutputFlags

  func run() throws {
    let chosen = try name.map { [try TransformRegistry.named($0)] }
    if output.json {
      let list = (chosen ?? TransformRegistry.all).map(json)
      print(JSON.object([.init("transforms", .array(list))]).pretty)
    } else if let transform = chosen?.first {
      explain(transform)
    } else {
      var table = Table([.left, .left, .left], wrapping: 2)
      for transform in TransformRegistry.all {
        table.add(transform.name, transform.contract.rawValue, transform.summary)
      }
      table.print()
      print("\nckpt transforms NAME explains one")
    }
  }

  private func explain(_ transform: any Transform) {
    var table = Table([.left, .left], wrapping: 1)
    table.add("step", Terminal.output.bold("--apply \(transform.usage)"))
    table.add("what it does", transform.summary)
    table.add("contract", transform.contract.rawValue)
    if !transform.precondition.isEmpty { table.add("takes", transform.precondition) }
    if !transform.inverse.isEmpty { table.add("undone by", transform.inverse) }
    for option in transform.options {
      table.add(":\(option.name)=\(option.values)", option.summary)
    }
    table.print()
  }

  private func json(_ transform: any Transform) -> JSON {
    .object([
      .init("name", .string(transform.name)), .init("summary", .string(transform.summary)),
      .init("contract", .string(transform.contract.rawValue)),
      .init("usage", .string(transform.usage)),
      .init("precondition", .string(transform.precondition)),
      .init("inverse", .string(transform.inverse)),
      .init(
        "options",
        .array(
          transform.options.map {
            .object([
              .init("name", .string($0.name)), .init("values", .string($0.values)),
              .init("summary", .string($0.summary)),
            ])
          })),
    ])
  }
}
