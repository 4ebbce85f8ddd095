import Checkpoint
import TestSupport
import Testing

/// Conversions that a YAML file describes.
@Suite struct RecipeTests {
  private func convert(_ recipe: String, _ more: String...) throws -> Command.Result {
    let folder = try TemporaryFolder()
    try folder.file("recipe.yaml", Array(recipe.utf8))
    return try Command.run(
      Command.path,
      [
        "convert", "\(Command.fixtures)/hf-albert", folder.file("out"), "--json", "--recipe",
        folder.file("recipe.yaml"),
      ] + more)
  }

  @Test(arguments: [
    "apply: untie\nto: bert4keras", "to: bert4keras\napply: [untie]",
    "to: bert4keras\napply:\n  - {untie: }", "to: bert4keras\napply:\n- untie: {value: ~}\n",
  ])
  func `a chain is that of the flags`(_ recipe: String) throws {
    let result = try convert(recipe)
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["loads_as"]?.string?.contains("albert_unshared") == true)
    #expect(result.json?["verification"]?["verdict"] == .string("identical"))
  }

  @Test func `the command line wins, and its steps follow`() throws {
    let result = try convert(
      "to: google\napply: untie\ndtype: f16\nno-verify: true", "--to", "bert4keras", "--dtype",
      "f64")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["format"] == .string("keras-h5"))
    #expect(result.json?["tensors"]?.array?.first?["dtype"] == .string("f64"))
    #expect(result.json?["verified"] == nil)
    // A second untie finds nothing that is shared.
    let twice = try convert("apply: untie", "--apply", "untie")
    #expect(twice.code == 2 && twice.errors.contains("already"), "\(twice.errors)")
  }

  @Test(arguments: [
    ("appply: untie", "takes apply"), ("- untie", "mapping"), ("apply: [untie: 3]", "no value"),
    ("apply: nothing", "no transform"), ("apply: [{untie: , rename: 'a=>b'}]", "not 2"),
    ("overwrite: perhaps", "true or false"), ("to: [a: b]", "needs a value"),
    ("dtype: f31", "expected f64"), ("apply: [1", "line 2"), ("recipe: x.yaml", "no flag"),
  ])
  func `a recipe that is wrong says where`(_ recipe: String, _ part: String) throws {
    let result = try convert(recipe)
    #expect(result.code == 64 || (part == "line 2" && result.code == 2), "\(result.errors)")
    #expect(result.errors.contains(part), "\(result.errors)")
  }

  @Test func `a recipe that is missing is said`() throws {
    let folder = try TemporaryFolder()
    let result = try Command.run(
      "convert", Command.fixtures + "/hf-albert", folder.file("out"), "--recipe=/nowhere.yaml")
    #expect(result.code == 2 && result.errors.contains("/nowhere.yaml"), "\(result.errors)")
  }
}
