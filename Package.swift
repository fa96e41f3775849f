// swift-tools-version: 6.2
import PackageDescription

// The house (docs/architecture.md): dependencies only look down. scripts/check-imports.py holds each file to this list.
let package = Package(
  name: "nearfar",
  products: [
    .executable(name: "nearfar", targets: ["nearfar"]),
    .executable(name: "http-echo", targets: ["http-echo"]),
  ],
  targets: [
    // Rank 4: programs.
    .executableTarget(name: "nearfar", dependencies: ["Service", "HTTPServer"]),
    .executableTarget(name: "http-echo", dependencies: ["HTTPServer", "HTTP1"]),

    // Rank 3: where sockets' messages and mathematics meet.
    .target(
      name: "Service",
      dependencies: [
        "HTTP1", "JSON", "Safetensors", "Tokenization", "SentenceEncoder", "Contrastive", "VectorStore", "SimilarityCore",
        "CAssets",
      ]),

    // Rank 2.
    .target(name: "HTTPServer", dependencies: ["HTTP1", "CLinux"]),
    .target(name: "VectorStore", dependencies: ["VectorIndex", "SimilarityCore"]),
    .target(
      name: "SentenceEncoder",
      dependencies: ["SimilarityCore", "Tokenization", "Safetensors", "JSON", "COneDNN", "COpenSSL"]),

    // Rank 1.
    .target(name: "Contrastive", dependencies: ["SimilarityCore"]),
    .target(name: "VectorIndex", dependencies: ["SimilarityCore"]),
    .target(name: "HTTP1"),
    .target(name: "Tokenization", dependencies: ["JSON"]),
    .target(name: "Safetensors", dependencies: ["JSON"]),

    // Rank 0.
    .target(name: "SimilarityCore", dependencies: ["CKernels", "COneDNN"]),
    .target(name: "JSON", dependencies: ["CSimdjson"]),

    // Leaf kernels and thin shims.
    .target(name: "CKernels"),
    .target(name: "COneDNN", linkerSettings: [.linkedLibrary("dnnl")]),
    .target(name: "COpenSSL", linkerSettings: [.linkedLibrary("crypto")]),
    .target(name: "CSimdjson", linkerSettings: [.linkedLibrary("simdjson")]),
    .target(name: "CLinux"),
    .target(name: "CAssets"),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17,
  cxxLanguageStandard: .cxx17
)
