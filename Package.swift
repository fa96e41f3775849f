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
      dependencies: [
        "Service", "HTTPServer", "HTTPClient", "HTTP1", "SQLiteRecords", "PostgresRecords", "VectorStore",
        "Safetensors", "JSON", "Training", "Encoder", "Contrastive", "Platform",
      ],
      // The Swift runtime is part of the program: calls of it need no detour through tables, and nothing of it has to be installed.
      linkerSettings: [.unsafeFlags(["-static-stdlib"])]),
    .executableTarget(name: "http-echo", dependencies: ["HTTPServer", "HTTP1", "Platform"]),
    .executableTarget(
      name: "loss-bench", dependencies: ["Contrastive", "SimilarityCore", "Platform"], path: "Benchmarks/LossBench"),
    .executableTarget(
      name: "index-bench", dependencies: ["VectorIndex", "SimilarityCore", "Safetensors", "Platform"],
      path: "Benchmarks/IndexBench"
    ),
    .executableTarget(
      name: "text-bench", dependencies: ["Tokenization", "Safetensors", "JSON", "Platform"],
      path: "Benchmarks/TextBench"),

    // Rank 3: where sockets' messages and mathematics meet.
    .target(
      name: "Service",
      dependencies: [
        "HTTP1", "JSON", "Safetensors", "Tokenization", "Encoder", "Contrastive", "VectorStore",
        "VectorIndex", "SimilarityCore", "Compression", "COpenSSL", "CAssets", "Platform",
      ]),

    .target(
      name: "Training",
      dependencies: ["Encoder", "Contrastive", "SimilarityCore", "Tokenization", "Safetensors", "JSON", "Platform"]),
    .target(
      name: "SQLiteRecords", dependencies: ["VectorStore", "VectorIndex", "CSQLite", "Platform"]),
    .target(
      name: "PostgresRecords",
      dependencies: ["VectorStore", "VectorIndex", "SimilarityCore", "CPQ", "CLinux", "Platform"]),

    // Rank 2.
    .target(name: "HTTPServer", dependencies: ["HTTP1", "CLinux", "COpenSSL", "Platform"]),
    .target(
      name: "VectorStore",
      dependencies: ["VectorIndex", "SimilarityCore", "Safetensors", "JSON", "Platform"]),
    .target(
      name: "Encoder",
      dependencies: ["SimilarityCore", "Tokenization", "Safetensors", "JSON", "Platform"]),

    // Rank 1.
    .target(name: "Contrastive", dependencies: ["SimilarityCore", "Platform"]),
    .target(name: "VectorIndex", dependencies: ["SimilarityCore", "Platform"]),
    .target(name: "HTTP1"),
    .target(name: "Compression", dependencies: ["CZlib"]),
    .target(name: "HTTPClient", dependencies: ["COpenSSL", "Platform"]),
    .target(name: "Tokenization", dependencies: ["JSON", "Platform"]),
    .target(name: "Safetensors", dependencies: ["JSON", "Platform"]),

    // Rank 0.
    .target(name: "SimilarityCore", dependencies: ["Platform", "CKernels", "COneDNN"]),
    .target(name: "JSON", dependencies: ["CSimdjson", "COpenSSL"]),

    // Below the house: the only target that knows the operating system.
    .target(name: "Platform", dependencies: ["CLinux", "COpenSSL"]),

    // Leaf kernels and thin shims.
    .target(name: "CKernels"),
    .target(name: "COneDNN", linkerSettings: [.linkedLibrary("dnnl")]),
    .target(name: "COpenSSL", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
    .target(name: "CSimdjson", linkerSettings: [.linkedLibrary("simdjson")]),
    .target(name: "CSQLite", linkerSettings: [.linkedLibrary("sqlite3")]),
    .target(name: "CPQ", linkerSettings: [.linkedLibrary("pq")]),
    .target(name: "CZlib", linkerSettings: [.linkedLibrary("z")]),
    .target(name: "CLinux"),
    .target(name: "CAssets", exclude: ["index.html", "playground"]),

    // Tests.
    .target(name: "TestSupport", dependencies: ["SimilarityCore", "Platform"], path: "Tests/TestSupport"),
    .target(
      name: "StoreSupport",
      dependencies: [
        "VectorStore", "SQLiteRecords", "PostgresRecords", "VectorIndex", "CSQLite", "TestSupport",
      ],
      path: "Tests/StoreSupport"),
    .testTarget(name: "SimilarityCoreTests", dependencies: ["SimilarityCore", "TestSupport", "Platform"]),
    .testTarget(name: "JSONTests", dependencies: ["JSON"]),
    .testTarget(name: "SafetensorsTests", dependencies: ["Safetensors"], exclude: ["Fixtures"]),
    .testTarget(
      name: "TokenizationTests", dependencies: ["Tokenization", "JSON"], exclude: ["Fixtures"]),
    .testTarget(name: "CompressionTests", dependencies: ["Compression", "TestSupport"]),
    .testTarget(name: "HTTP1Tests", dependencies: ["HTTP1", "Platform"]),
    .testTarget(name: "HTTPClientTests", dependencies: ["HTTPClient", "HTTPServer", "HTTP1"]),
    .testTarget(
      name: "HTTPServerTests", dependencies: ["HTTPServer", "HTTP1", "Platform"],
      exclude: ["Fixtures", "make_certificate.sh"]),
    .testTarget(
      name: "ContrastiveTests", dependencies: ["Contrastive", "SimilarityCore", "TestSupport", "Platform"],
      exclude: ["Fixtures", "generate_fixtures.py"]),
    .testTarget(
      name: "VectorIndexTests", dependencies: ["VectorIndex", "SimilarityCore", "TestSupport"]),
    .testTarget(
      name: "VectorStoreTests",
      dependencies: ["VectorStore", "VectorIndex", "SimilarityCore", "JSON", "StoreSupport", "TestSupport"]),
    .testTarget(
      name: "SQLiteRecordsTests",
      dependencies: [
        "SQLiteRecords", "VectorStore", "VectorIndex", "SimilarityCore", "CSQLite", "StoreSupport", "TestSupport",
      ]),
    .testTarget(
      name: "PostgresRecordsTests",
      dependencies: ["PostgresRecords", "SQLiteRecords", "VectorStore", "VectorIndex", "StoreSupport", "TestSupport"]),
    .testTarget(
      name: "EncoderTests", dependencies: ["Encoder", "SimilarityCore", "Safetensors", "TestSupport"],
      exclude: ["Fixtures", "generate_fixtures.py", "Families", "Gradients", "generate_gradients.py"]),
    .testTarget(
      name: "TrainingTests",
      dependencies: [
        "Training", "Encoder", "Contrastive", "SimilarityCore", "Tokenization", "Safetensors", "TestSupport",
        "Platform",
      ],
      exclude: ["Fixtures", "generate_optimizer.py"]),
    .testTarget(
      name: "ServiceTests",
      dependencies: [
        "Service", "HTTP1", "Safetensors", "VectorStore", "Encoder", "SimilarityCore", "StoreSupport", "TestSupport",
        "Platform",
      ]),
  ],
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c17,
  cxxLanguageStandard: .cxx17
)

// Fuzzing compiles every target with coverage and AddressSanitizer, so its program is there only where scripts/fuzz.sh
// asks for it (Fuzz/README.md).
if Context.environment["NEARFAR_FUZZ"] != nil {
  package.targets += [
    .systemLibrary(name: "CFuzzer", path: "Fuzz/CFuzzer"),
    .executableTarget(
      name: "Fuzz",
      dependencies: [
        "Service", "HTTP1", "HTTPClient", "JSON", "Safetensors", "Tokenization", "Encoder", "VectorStore",
        "VectorIndex", "SQLiteRecords", "PostgresRecords", "SimilarityCore", "Compression", "Platform", "CFuzzer",
      ],
      path: "Fuzz/Sources"),
  ]
}
