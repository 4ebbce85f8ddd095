import Foundation
import TestSupport
import Testing

@testable import Checkpoint

@Suite struct NPZTests {
  let scratch = ScratchArchives()

  static let fixtures = Fixtures.path("npz") + "/"

  /// A single array has a format of its own.
  func format(_ name: String) -> any Format { name.hasSuffix(".npy") ? NPY() : NPZ() }

  func open(_ name: String) throws -> Checkpoint {
    let probe = try Probe(NPZTests.fixtures + name)
    #expect(format(name).recognises(probe))
    return try format(name).read(probe)
  }

  func open(_ bytes: [UInt8], name: String = "a.npz") throws -> Checkpoint {
    try format(name).read(Probe(scratch.file(bytes, name: name).path))
  }

  func write(_ tensors: [Tensor], to name: String) throws {
    let output = Output(overwrite: true, inputs: [])
    try NPZ().write(
      Checkpoint(groups: [Group(name: "", tensors: tensors)]), to: scratch.path(name), in: output,
      options: WriteOptions())
    try output.commit(durable: false)
  }

  /// What `fixtures/generate_npz.py` puts into element `index`.
  func expected(_ index: Int, _ dtype: DType) -> Double {
    let number = (index * 7) % 11 - 3
    switch dtype {
    case .bool: return Double(abs(number) % 2)
    case .u8, .u16, .u32, .u64: return Double(abs(number))
    default: return Double(number)
    }
  }

  @Test(arguments: ["types.npz", "types_deflated.npz"])
  func `NumPy's arrays of every type and byte order are read`(name: String) throws {
    let checkpoint = try open(name)
    #expect(checkpoint.tensors.count == 24)
    for (index, tensor) in checkpoint.tensors.enumerated() {
      let code = String(tensor.name.dropFirst())
      let dtype = try #require(NPYHeader.codes[code])
      #expect(tensor.name.first == (index % 2 == 0 ? "<" : ">"))
      #expect(tensor.dtype == dtype)
      #expect(tensor.shape == [2, 3])
      #expect(try tensor.doubles() == (0..<6).map { expected($0, dtype) }, "\(tensor.name)")
      let inPlace = name == "types.npz" && (tensor.name.first == "<" || dtype.size == 1)
      #expect((tensor.payload.slice != nil) == inPlace, "\(tensor.name)")
    }
  }

  @Test func `Fortran order, scalars and empty arrays are read`() throws {
    let tensors = try open("orders.npz").tensors
    #expect(tensors.count == 27)
    for tensor in tensors {
      let name = tensor.name.split(separator: "/")[1]
      let shape = name == "scalar" ? [] : name.split(separator: "x").compactMap { Int($0) }
      #expect(tensor.shape.extents == shape)
      #expect(
        try tensor.doubles() == (0..<tensor.shape.count).map { expected($0, .f32) },
        "\(tensor.name)")
    }
  }

  @Test func `names keep slashes, spaces, dots and every script`() throws {
    #expect(
      try open("names.npz").tensors.map(\.name)
        == ["weights/layer 1/kernel:0", "词嵌入", "Ünïcode", "a.npy", "", "../up"])
  }

  @Test func `every header version, savez and single arrays are read`() throws {
    for name in ["versions.npz", "savez.npz", "savez_compressed.npz", "single.npy"] {
      let tensor = try #require(try open(name).tensors.first)
      #expect(tensor.shape == [3, 2])
      #expect(try tensor.doubles() == (0..<6).map { expected($0, .f32) })
    }
    #expect(try open("single.npy").tensors[0].name == "single")
    #expect(try open("empty.npz").tensors.isEmpty)
    #expect(try open("savez_compressed.npz").tensors.map(\.name) == ["first", "second"])
  }

  @Test func `what no tensor can hold is listed with the reason`() throws {
    let checkpoint = try open("unreadable.npz")
    #expect(checkpoint.tensors.map(\.name) == ["good", "complex"])
    #expect(checkpoint.tensors[1].dtype == .c64)
    #expect(
      checkpoint.unreadable.map(\.name)
        == ["text", "bytes", "date", "raw", "long", "notes.txt"])
    #expect(checkpoint.unreadable[0].reason == "holds text (<U2)")
  }

  @Test(arguments: [("object.npz", "o.npy"), ("structured.npz", "s.npy")])
  func `pickled objects and records are refused`(name: String, member: String) throws {
    let path = NPZTests.fixtures + name
    #expect(throws: CheckpointError(.unsupported, Place(file: path, member: member), "")) {
      try open(name)
    }
  }

  @Test func `every type and shape comes back as it was, in order`() throws {
    var tensors: [Tensor] = []
    for dtype in NPYHeader.codes.values.sorted(by: { $0.rawValue < $1.rawValue }) {
      for shape: Shape in [[], [0], [3], [2, 0, 5], [2, 3, 4]] {
        tensors.append(Samples.tensor("层/\(dtype.rawValue) \(shape)", dtype, shape))
      }
    }
    try write(tensors, to: "first.npz")
    let back = try NPZ().read(Probe(scratch.path("first.npz"))).tensors
    #expect(back.map(\.name) == tensors.map(\.name))
    for (tensor, original) in zip(back, tensors) {
      #expect(tensor.dtype == original.dtype && tensor.shape == original.shape)
      #expect(try tensor.bytes() == original.bytes())
      #expect((tensor.payload.slice?.offset ?? 1) % 64 == 0)
    }
    try write(back, to: "second.npz")
    #expect(
      try File.contents(of: scratch.path("first.npz"))
        == File.contents(of: scratch.path("second.npz")))
  }

  @Test func `bfloat16 is refused by name, with the way out`() throws {
    let tensor = Tensor(name: "w", shape: [2], values: [1, 2]).cast(to: .bf16)
    let error = #expect(throws: CheckpointError.self) { try write([tensor], to: "b.npz") }
    #expect(
      error
        == CheckpointError(
          .unsupported, Place(file: scratch.path("b.npz"), tensor: "w"), ""))
    #expect(error?.hint == "use --dtype f32")
    #expect(!Paths.exists(scratch.path("b.npz")))
  }

  func writeArray(_ tensors: [Tensor], to name: String) throws {
    let output = Output(overwrite: true, inputs: [])
    try NPY().write(
      Checkpoint(groups: [Group(name: "", tensors: tensors)]), to: scratch.path(name), in: output,
      options: WriteOptions())
    try output.commit(durable: false)
  }

  @Test func `a single array is written as NumPy writes it`() throws {
    let original = try open("single.npy")
    try writeArray(original.tensors, to: "again.npy")
    #expect(
      try File.contents(of: scratch.path("again.npy"))
        == File.contents(of: NPZTests.fixtures + "single.npy"))
    for dtype in NPYHeader.codes.values {
      for shape: Shape in [[], [0], [2, 3]] {
        let tensor = Samples.tensor("w", dtype, shape)
        try writeArray([tensor], to: "one.npy")
        let back = try #require(try NPY().read(Probe(scratch.path("one.npy"))).tensors.first)
        #expect(back.name == "one" && back.dtype == dtype && back.shape == shape)
        #expect(try back.bytes() == tensor.bytes())
      }
    }
  }

  @Test func `a single array holds one tensor of NumPy's types`() throws {
    let tensor = Tensor(name: "a", shape: [2], values: [1, 2])
    let path = scratch.path("many.npy")
    let many = #expect(throws: CheckpointError.self) {
      try writeArray([tensor, tensor.renamed("b")], to: "many.npy")
    }
    #expect(many == CheckpointError(.unsupported, Place(file: path, tensor: "b"), ""))
    #expect(many?.hint == "use --format npz")
    #expect(throws: CheckpointError(.unsupported, Place(file: path), "")) {
      try writeArray([], to: "many.npy")
    }
    #expect(throws: CheckpointError(.unsupported, Place(file: path, tensor: "a"), "")) {
      try writeArray([tensor.cast(to: .bf16)], to: "many.npy")
    }
    #expect(!Paths.exists(path))
  }

  /// An array with that dictionary before `data`.
  func array(_ dictionary: String, version: [UInt8] = [1, 0], data: Int = 8) -> [UInt8] {
    var bytes = NPYHeader.magic + version
    if version[0] == 1 {
      bytes.append(little: UInt16(dictionary.utf8.count))
    } else {
      bytes.append(little: UInt32(dictionary.utf8.count))
    }
    return bytes + Array(dictionary.utf8) + [UInt8](repeating: 0, count: data)
  }

  static let sound = [
    "{'descr':'<f4','fortran_order':False,'shape':(2,)}",
    "{\"shape\": (1, 2L), 'fortran_order': True, 'descr': '=f4', }   \n",
    "{'descr': '|f4', 'fortran_order': False, 'shape': (2, 1)}\t\n",
    "{'descr': 'f8', 'fortran_order': False, 'shape': ()}",
  ]

  @Test(arguments: sound)
  func `a header may be spelled in several ways`(dictionary: String) throws {
    #expect(try open(array(dictionary), name: "a.npy").tensors.count == 1)
  }

  static let unsound = [
    "", "{", "{}", "{'descr': '<f4'}", "[]", "None",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (1+1,)}",
    "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': [2]}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'more': 1}",
    "{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (2,)}",
    "{'descr': '\\x3cf4', 'fortran_order': False, 'shape': (2,)}",
    "{'descr': '<f4, 'fortran_order': False, 'shape': (2,)}",
    "{'descr': __import__('os'), 'fortran_order': False, 'shape': (2,)}",
    "{'descr': '<f4', 'fortran_order': False, 'shape': ("
      + String(repeating: "1,", count: 65) + "2)}",
  ]

  @Test(arguments: unsound)
  func `a header that breaks the rules is damaged`(dictionary: String) throws {
    let error = #expect(throws: CheckpointError.self) {
      try open(array(dictionary), name: "a.npy")
    }
    #expect(error?.kind == .damaged)
    #expect(error?.place.offset != nil)
  }

  @Test func `a header longer than the file takes no memory`() throws {
    var bytes = array(NPZTests.sound[0], version: [2, 0])
    bytes.replaceSubrange(8..<12, with: [0xff, 0xff, 0xff, 0xff])
    #expect(
      throws: CheckpointError(
        .damaged, Place(file: scratch.path("a.npy"), offset: 8), "")
    ) { try open(bytes, name: "a.npy") }
    bytes[6] = 4
    #expect(
      throws: CheckpointError(
        .unsupported, Place(file: scratch.path("a.npy"), offset: 6), "")
    ) { try open(bytes, name: "a.npy") }
  }

  @Test(arguments: ["savez.npz", "savez_compressed.npz", "single.npy"])
  func `an archive cut anywhere is an error`(name: String) throws {
    let bytes = try File.contents(of: NPZTests.fixtures + name)
    for count in 0..<bytes.count {
      #expect(throws: CheckpointError.self, "cut at \(count)") {
        for tensor in try open(Array(bytes[..<count]), name: name).tensors {
          _ = try tensor.bytes()
        }
      }
    }
  }

  @Test(arguments: ["savez.npz", "savez_compressed.npz", "single.npy", "types_deflated.npz"])
  func `mutations end in tensors or in an error`(name: String) throws {
    let original = try File.contents(of: NPZTests.fixtures + name)
    var random = SplitMix(state: 20_260_101)
    for _ in Fuzz.trials(700) {
      var bytes = original
      for _ in 0..<(1 + random.next(16)) {
        bytes[random.next(bytes.count)] = UInt8(random.next(256))
      }
      _ = try scratch.file(bytes, name: name)
      do throws(CheckpointError) {
        let probe = try Probe(scratch.path(name))
        guard format(name).recognises(probe) else { continue }
        for tensor in try format(name).read(probe).tensors { _ = try tensor.bytes() }
      } catch {
        #expect([.damaged, .unsupported].contains(error.kind), "\(error)")
      }
    }
  }

  @Test func `a packed tensor that is read in windows is whole`() throws {
    let tensor = try open("types_deflated.npz").tensors[0]
    let whole = try tensor.bytes()
    for start in [40, 0, 16, 47] {
      var window = [UInt8](repeating: 0, count: min(8, whole.count - start))
      var span = window.mutableSpan
      var raw = span.mutableBytes
      try tensor.payload.read(at: start, into: &raw)
      #expect(window == Array(whole[start..<(start + window.count)]))
    }
  }
}

/// A small random generator whose seed reproduces a run.
private struct SplitMix {
  var state: UInt64

  mutating func next(_ bound: Int) -> Int {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return Int((mixed ^ (mixed >> 31)) % UInt64(bound))
  }
}
