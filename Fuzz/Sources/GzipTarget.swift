#if canImport(Compression)
  import Compression

  /// gzip bodies: bounds are kept whatever the bytes are, and what is deflated is inflated to the same content.
  ///
  /// Built only where the module is among the dependencies of the target in Package.swift.
  enum GzipTarget {
    static func run(_ input: [UInt8]) {
      var limits = Gzip.Limits(bytes: 1 << 16)
      limits.smallBytes = 4096
      check(input, limits)
      if let coded = Gzip.deflate(input, level: 1 + Int(input.first ?? 0) % 9) {
        let content = try? Gzip.inflate(coded, Gzip.Limits(bytes: max(1, input.count)))
        require(content == input, "what was deflated is not inflated to the same content")
        require((try? Gzip.inflate(Array(coded.dropLast()), limits)) == nil, "a member without its end is accepted")
        if input.count > 1 {
          require((try? Gzip.inflate(coded, Gzip.Limits(bytes: input.count - 1))) == nil, "the limit is not kept")
        }
      } else {
        finding("the input cannot be deflated")
      }
    }

    private static func check(_ coded: [UInt8], _ limits: Gzip.Limits) {
      guard let content = try? Gzip.inflate(coded, limits) else { return }
      require(content.count <= limits.bytes, "\(content.count) bytes were inflated")
      require(
        content.count <= limits.smallBytes || content.count <= (limits.ratio + 1) * coded.count,
        "\(coded.count) bytes became \(content.count)")
      require(coded.starts(with: [0x1F, 0x8B]), "something else than gzip is accepted")
    }
  }
#endif
