// swift-tools-version: 6.2
import Foundation
import PackageDescription

/// Settings of every target of our own: Swift 6, explicit existentials and imports, no warnings.
let common: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
]

/// The file border: every unsafe expression is marked and explained.
let border: [SwiftSetting] = common + [.strictMemorySafety()]

/// C code of our own: no warnings either.
let strictC: [CSetting] = [
  .enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error),
]

/// Whether Debian's archives of libhdf5 and of what it needs are there, to be linked statically.
///
/// The shared libhdf5 loads 40 more libraries (curl, TLS, LDAP) at every start. Where the archives
/// are missing, pkg-config finds the shared one. `HDF5Archive` holds links to the archive, which the
/// linker would not find in its folder by name.
let isStatic = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"].contains { folder in
  ["hdf5/serial/libhdf5.a", "libsz.a", "libaec.a"].allSatisfy {
    FileManager.default.fileExists(atPath: "\(folder)/\($0)")
  }
}
let hdf5: [LinkerSetting] =
  (isStatic ? [":libsz.a", ":libaec.a", "z", "dl", "m"] : ["hdf5"]).map { .linkedLibrary($0) }

/// The same for libpng, of which only writing is used.
let hasStaticPNG = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"].contains {
  FileManager.default.fileExists(atPath: "\($0)/libpng16.a")
}

/// The page of `report`, put into the command.
let page = [
  "page.html", "page.css", "tools.js", "plots.js", "overview.js", "diagram.js", "graph.js",
  "layers.js", "heads.js", "change.js", "table.js", "page.js",
]

let package = Package(
  name: "ckpt",
  products: [
    .library(name: "Checkpoint", targets: ["Checkpoint"]),
    .library(name: "Transforms", targets: ["Transforms"]),
    .library(name: "Infer", targets: ["Infer"]),
    .executable(name: "ckpt", targets: ["ckpt"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2")
  ],
  targets: [
    // C libraries behind module maps.
    .systemLibrary(name: "CSystem"),
    .systemLibrary(
      name: "CHDF5", pkgConfig: isStatic ? nil : "hdf5", providers: [.apt(["libhdf5-dev"])]),
    .systemLibrary(name: "CZip", pkgConfig: "libzip", providers: [.apt(["libzip-dev"])]),
    .systemLibrary(name: "CSnappy", pkgConfig: "snappy", providers: [.apt(["libsnappy-dev"])]),
    .systemLibrary(
      name: "CPNG", pkgConfig: hasStaticPNG ? nil : "libpng", providers: [.apt(["libpng-dev"])]),
    .systemLibrary(name: "CYAML", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    // The HDF5 reading child: C only, because nothing else may run between fork and _exit.
    .target(
      name: "CHDF5Reader", dependencies: ["CHDF5"] + (isStatic ? ["HDF5Archive"] : []),
      cSettings: strictC, linkerSettings: hdf5),
    // CRC-32C.
    .target(name: "CChecksum", cSettings: strictC),
    // Counts and moments of numbers, at the speed of memory.
    .target(name: "CStatistics", cSettings: strictC),
    // Vector kernels that choose their instruction set at run time.
    .target(name: "CKernels", cSettings: strictC),
    // The sentencepiece library, which is C++.
    .target(
      name: "CSentencePiece", cxxSettings: [.enableWarning("all"), .treatAllWarnings(as: .error)],
      linkerSettings: [.linkedLibrary("sentencepiece")]),

    .target(
      name: "Checkpoint",
      dependencies: [
        "CSystem", "CHDF5", "CHDF5Reader", "CZip", "CSnappy", "CYAML", "CChecksum", "CCrypto",
        "CStatistics", "CPNG",
      ],
      swiftSettings: border,
      linkerSettings: hasStaticPNG
        ? [":libpng16.a", "z", "m"].map { .linkedLibrary($0) } : []),
    .target(name: "Transforms", dependencies: ["Checkpoint"], swiftSettings: border),
    .target(
      name: "Infer", dependencies: ["Checkpoint", "CKernels", "CSentencePiece"],
      swiftSettings: common),
    .executableTarget(
      name: "ckpt",
      dependencies: [
        "Checkpoint", "Transforms", "Infer",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      // The sources of the page that `report` writes are part of the binary.
      resources: page.map { .embedInCode("Report/Page/\($0)") }, swiftSettings: common),

    .target(
      name: "TestSupport", dependencies: ["Checkpoint"], path: "Tests/TestSupport",
      swiftSettings: common),
    .testTarget(
      name: "CheckpointTests", dependencies: ["Checkpoint", "CStatistics", "TestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "TransformsTests", dependencies: ["Transforms", "Checkpoint", "TestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "InferTests", dependencies: ["Infer", "Checkpoint", "TestSupport"],
      swiftSettings: common),
    .testTarget(
      name: "CommandTests",
      dependencies: ["ckpt", "Infer", "Transforms", "Checkpoint", "TestSupport"],
      swiftSettings: common),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx17
)
if isStatic {
  package.targets.append(
    .binaryTarget(name: "HDF5Archive", path: "Sources/HDF5Archive.artifactbundle"))
}
