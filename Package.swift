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
    .executableTarget(
      name: "nearfar",
      dependencies: ["Service", "HTTPServer", "HTTPClient", "VectorStore", "Safetensors", "JSON"]),
    .executableTarget(name: "http-echo", dependencies: ["HTTPServer", "HTTP1"]),
    .executableTarget(
      name: "loss-bench", dependencies: ["Contrastive", "SimilarityCore"], path: "Benchmarks/LossBench"),
    .executableTarget(
      name: "index-bench", dependencies: ["VectorIndex", "SimilarityCore", "Safetensors"], path: "Benchmarks/IndexBench"
    ),

    // Rank 3: where sockets' messages and mathematics meet.
    .target(
      name: "Service",
      dependencies: [
        "HTTP1", "JSON", "Safetensors", "Tokenization", "SentenceEncoder", "Contrastive", "VectorStore",
        "VectorIndex", "SimilarityCore", "CAssets",
      ]),

    // Rank 2.
    .target(name: "HTTPServer", dependencies: ["HTTP1", "CLinux"]),
    .target(
      name: "VectorStore", dependencies: ["VectorIndex", "SimilarityCore", "Safetensors", "JSON", "CSQLite", "CLinux"]),
    .target(
      name: "SentenceEncoder",
      dependencies: ["SimilarityCore", "Tokenization", "Safetensors", "JSON", "COneDNN", "COpenSSL"]),

    // Rank 1.
    .target(name: "Contrastive", dependencies: ["SimilarityCore"]),
    .target(name: "VectorIndex", dependencies: ["SimilarityCore"]),
    .target(name: "HTTP1"),
    .target(name: "HTTPClient"),
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
    .target(name: "CSQLite", linkerSettings: [.linkedLibrary("sqlite3")]),
    .target(name: "CLinux"),
    .target(name: "CAssets", exclude: ["index.html", "playground"]),

    // Tests.
    .target(name: "TestSupport", dependencies: ["SimilarityCore"], path: "Tests/TestSupport"),
    .testTarget(name: "SimilarityCoreTests", dependencies: ["SimilarityCore", "TestSupport"]),
    .testTarget(name: "JSONTests", dependencies: ["JSON"]),
    .testTarget(name: "SafetensorsTests", dependencies: ["Safetensors"], exclude: ["Fixtures"]),
    .testTarget(
      name: "TokenizationTests", dependencies: ["Tokenization", "JSON"], exclude: ["Fixtures"]),
    .testTarget(name: "HTTP1Tests", dependencies: ["HTTP1"]),
    .testTarget(name: "HTTPClientTests", dependencies: ["HTTPClient"]),
    .testTarget(name: "HTTPServerTests", dependencies: ["HTTPServer", "HTTP1"]),
    .testTarget(
      name: "ContrastiveTests", dependencies: ["Contrastive", "SimilarityCore", "TestSupport"],
      exclude: ["Fixtures", "generate_fixtures.py"]),
    .testTarget(
      name: "VectorIndexTests", dependencies: ["VectorIndex", "SimilarityCore", "TestSupport"]),
    .testTarget(
      name: "VectorStoreTests",
      dependencies: ["VectorStore", "VectorIndex", "SimilarityCore", "JSON", "CSQLite", "TestSupport"]),
    .testTarget(
      name: "SentenceEncoderTests", dependencies: ["SentenceEncoder", "SimilarityCore", "TestSupport"],
      exclude: ["Fixtures", "generate_fixtures.py"]),
    .testTarget(name: "ServiceTests", dependencies: ["Service", "HTTP1", "Safetensors", "VectorStore", "TestSupport"]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17,
  cxxLanguageStandard: .cxx17
)
