// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "race",
  targets: [
    .executableTarget(name: "race", dependencies: ["VectorIndex", "SimilarityCore"]),
    .target(name: "VectorIndex", dependencies: ["SimilarityCore", "Platform"]),
    .target(name: "SimilarityCore", dependencies: ["Platform", "CKernels", "COneDNN"]),
    .target(name: "Platform", dependencies: ["CLinux", "COpenSSL"]),
    .target(name: "COpenSSL", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
    .target(name: "CLinux"),
    .target(name: "CKernels"),
    .target(name: "COneDNN", linkerSettings: [.linkedLibrary("dnnl")]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17,
  cxxLanguageStandard: .cxx20
)
