import Service

/// `nearfar loss`: scores a batch in safetensors files, in this process.
enum LossCommand: Command {
  static let name = "loss"
  static let summary = "score a batch in safetensors files and print what POST /loss answers"
  static let details = """
    Scores a batch in this process, without a service, and prints the JSON that POST /loss answers. Each tensor comes \
    from a safetensors file that holds a tensor of that name, or a single one.
    """
  static let flags: [any CommandFlag] =
    tensors as [any CommandFlag] + [
      objective, temperature, normalize, inBatchNegatives, bias, returned, output, threads,
    ]

  private static let tensors: [Flag<String>] = FileLoss.tensors.map { name in
    let meaning =
      switch name {
      case "queries": "Rows [n, d]."
      case "keys": "Rows [n, d], or [m, d] with --positives."
      case "negatives": "Rows [m, d] for all queries, or [n, m, d] for each."
      case "positives": "For each query the row of its key, as integers [n]."
      case "labels": "The class of each query, as integers [n]."
      default: "Further negatives [m, d], the oldest first."
      }
    return Flag(flag(name), .text("FILE"), name == "queries" ? .required : .optional(), meaning)
  }
  private static let objective = Flag(
    "objective", .choice(FileLoss.objectives, "NAME"), .optional(meaning: FileLoss.objectives[0]),
    "The loss.")
  private static let temperature = Flag(
    "temperature", .number, .optional(meaning: "0.07, and 0.1 for sigmoid"), "By which logits are divided; above 0.")
  private static let normalize = Flag(
    "normalize", .trueOrFalse, .optional(meaning: "true"), "Whether rows are scaled to length 1.")
  private static let inBatchNegatives = Flag(
    "in-batch-negatives", .trueOrFalse, .optional(meaning: "true, and false for moco"),
    "Whether the other keys of the batch are negatives.")
  private static let bias = Flag("bias", .number, .optional(meaning: "-10"), "Added to each logit of sigmoid.")
  private static let returned = Flag(
    "return", .list(of: FileLoss.returnable), .optional(meaning: "loss"), "What the answer holds.")
  private static let output = Flag(
    "output", .text("FILE"), .optional(), "Also write loss and gradients to a safetensors file.")
  private static let threads = Usable.threads(isVariable: false, "Threads that share the work.")

  /// `in_batch_negatives` is `--in-batch-negatives`.
  private static func flag(_ field: String) -> String { String(field.map { $0 == "_" ? "-" : $0 }) }

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 {
    var files: [String: String] = [:]
    for (name, flag) in zip(FileLoss.tensors, tensors) { files[name] = try arguments.given(flag) }
    var options: [String: String] = [:]
    options["objective"] = try arguments.given(objective)
    options["temperature"] = try arguments.given(temperature)?.description
    options["normalize"] = try arguments.given(normalize)?.description
    options["in_batch_negatives"] = try arguments.given(inBatchNegatives)?.description
    options["bias"] = try arguments.given(bias)?.description
    options["return"] = try arguments.given(returned).map { names in
      "[" + names.map { "\"\($0)\"" }.joined(separator: ",") + "]"
    }
    let threads = try arguments.value(threads)
    let output = try arguments.given(output)
    let loss: FileLoss
    do throws(FileLossError) {
      loss = try FileLoss(files: files, options: options, threads: threads, archives: output != nil)
    } catch {
      // An option that does not fit, or a file that was not named, is the call's fault; what stands in a file is not.
      if let field = error.field, options[field] != nil || FileLoss.tensors.contains(field) && files[field] == nil {
        throw UsageError("--\(flag(field)): \(error.reason)")
      }
      return CommandError.status { () throws(CommandError) in throw CommandError(error.description) }
    }
    return CommandError.status { () throws(CommandError) in
      if let output, let archive = loss.archive {
        let file = try SystemFile.writing(output)
        try file.write(archive[...])
        try file.flush()
      }
      try SystemFile.standardOutput.write((loss.json + [0x0A])[...])
    }
  }
}
