import Service

/// `nearfar loss`: scores a batch in safetensors files, in this process.
enum Loss {
  static let flags = (LossCommand.tensors + LossCommand.options).map(flag) + ["threads", "output"]

  /// `in_batch_negatives` is `--in-batch-negatives`.
  private static func flag(_ name: String) -> String { String(name.map { $0 == "_" ? "-" : $0 }) }

  /// - Returns: the exit status: 0 when the loss was printed, 1 when the batch cannot be scored.
  static func run(_ options: Options) throws(UsageError) -> Int32 {
    var files: [String: String] = [:]
    var values: [String: String] = [:]
    for name in LossCommand.tensors { files[name] = options.string(flag(name)) }
    for name in LossCommand.options { values[name] = options.string(flag(name)) }
    guard files["queries"] != nil else { throw UsageError(description: "--queries is required") }
    if let names = values["return"] { values["return"] = list(names) }
    let threads = try options.integer("threads", default: UsableCores.count, in: 1...1024)
    let output = options.string("output")
    do {
      let answer = try LossCommand(files: files, options: values, threads: threads, archives: output != nil)
      if let output, let archive = answer.archive {
        let file = try SystemFile.writing(output)
        try file.write(archive[...])
        try file.flush()
      }
      try SystemFile.standardOutput.write((answer.json + [0x0A])[...])
      return 0
    } catch {
      Log(json: false).plain("nearfar: \(error)")
      return 1
    }
  }

  /// `loss,per_row` as a JSON list; a JSON list as it is.
  private static func list(_ names: String) -> String {
    if names.hasPrefix("[") { return names }
    return "[" + names.split(separator: ",").map { "\"\($0)\"" }.joined(separator: ",") + "]"
  }
}
