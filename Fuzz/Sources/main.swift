import CFuzzer
import Platform

// One program holds all targets, because every module has to be compiled for fuzzing, and linking them once is quicker than once for
// each target. `--target=NAME` chooses one; libFuzzer ignores options that begin with two hyphens.
//
// A target returns normally for every input, whether it is accepted or rejected. What is wrong ends the process: a trap of
// Swift's own checks, a report of AddressSanitizer, or `require`.

let targets: [(name: String, make: () -> ([UInt8]) -> Void)] = {
  var targets: [(name: String, make: () -> ([UInt8]) -> Void)] = [
    ("connection", { ConnectionTarget.run }),
    ("chunks", { ChunksTarget.run }),
    ("service", { ServiceTarget().run }),
    ("safetensors", { SafetensorsTarget.run }),
    ("tokenizer", { TokenizerTarget().run }),
    ("text", { TextTarget().run }),
    ("filter", { FilterTarget.run }),
    ("graph", { GraphTarget().run }),
    ("json", { JSONTarget.run }),
    ("response", { ResponseTarget.run }),
    ("proxy", { ProxyTarget.run }),
    ("keys", { KeysTarget.run }),
    ("change", { ChangeTarget.run }),
    ("copy", { CopyTarget.run }),
  ]
  #if canImport(Compression)
    targets.append(("gzip", { GzipTarget.run }))
  #endif
  return targets
}()

if CommandLine.arguments.dropFirst().first == "--list" {
  for target in targets { print(target.name) }
  exit(0)
}
guard let target = targets.first(where: { CommandLine.arguments.contains("--target=\($0.name)") }) else {
  print("choose a target: \(targets.map { "--target=\($0.name)" }.joined(separator: " "))")
  exit(2)
}
// libFuzzer calls the target on this thread only.
nonisolated(unsafe) let test = target.make()
var count = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
let status = LLVMFuzzerRunDriver(&count, &arguments) { start, count in
  // SAFETY: libFuzzer passes `count` bytes, which are valid during the call.
  test(Array(UnsafeBufferPointer(start: start, count: count)))
  return 0
}
exit(status)
