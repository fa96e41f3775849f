import Platform
import Service

/// The program: its first argument chooses a command.
@main
enum Nearfar {
  private static let commands: [any Command.Type] = [
    ServeCommand.self, EmbedCommand.self, LossCommand.self, TrainCommand.self, IndexCommand.self, ExportCommand.self,
    ImportCommand.self,
    BackupCommand.self, CheckCommand.self, MigrateCommand.self, HealthCommand.self,
  ]

  private static let reference = Reference(
    purpose: "Nearfar embeds text, scores contrastive losses and retrieves nearest neighbours over HTTP.",
    commands: commands,
    words: [
      .init(
        name: "completion", argument: .required(Shell.allCases.map(\.rawValue)),
        meaning: "print a script that completes calls in \(Shell.names)"),
      .init(
        name: "help", argument: .optional(commands.map { $0.name }),
        meaning:
          "list the commands, or the flags of one, as --help does; --man: the manual page"),
      .init(name: "version", argument: .none, meaning: "print the version; so does --version"),
    ],
    statuses: [
      ("0", "the command has done its job, or help was asked for"),
      ("1", "the job failed; standard error says why"),
      ("2", "the call is wrong: an unknown command or flag, or a value that a flag does not take; nothing was done"),
    ])

  static func main() {
    // A reader of standard output or a client that leaves must not end the process: the write fails instead.
    signal(SIGPIPE, SIG_IGN)
    // The same goes for a limit on the sizes of files.
    signal(SIGXFSZ, SIG_IGN)
    let arguments = Array(CommandLine.arguments.dropFirst())
    let status = run(arguments.first ?? "", Array(arguments.dropFirst()))
    // Threads may still compute, where requests were cut off or a command has failed. What they use is not taken apart.
    fflush(nil)
    _exit(status)
  }

  private static func run(_ name: String, _ arguments: [String]) -> Int32 {
    if let command = commands.first(where: { $0.name == name }) { return run(command, arguments) }
    switch name {
    case "help", "--help", "-h": return help(arguments)
    case "completion": return completion(arguments)
    case "version", "--version":
      guard let unexpected = arguments.first else { return say("nearfar \(Version.current)") }
      return asksForHelp(arguments) ? say(reference.help) : refuse("unexpected argument '\(unexpected)'")
    case "": return refuse("a command is needed")
    default: return refuse("unknown command '\(name)'")
    }
  }

  private static func run(_ command: any Command.Type, _ arguments: [String]) -> Int32 {
    guard !asksForHelp(arguments) else { return say(command.help) }
    do throws(UsageError) {
      return try command.run(try Arguments(arguments, for: command))
    } catch {
      return refuse("\(error)", command)
    }
  }

  /// No value begins with two dashes, so `--help` is asking for help wherever it stands.
  private static func asksForHelp(_ arguments: [String]) -> Bool {
    arguments.contains("--help") || arguments.first == "-h"
  }

  private static func completion(_ arguments: [String]) -> Int32 {
    guard !asksForHelp(arguments) else { return say(reference.help) }
    guard let name = arguments.first else { return refuse("completion needs the name of a shell: \(Shell.names)") }
    guard arguments.count == 1 else { return refuse("unexpected argument '\(arguments[1])'") }
    guard let shell = Shell(rawValue: name) else { return refuse("the shell must be \(Shell.names), not '\(name)'") }
    return say(shell.script(reference))
  }

  private static func help(_ arguments: [String]) -> Int32 {
    guard arguments != ["--man"] else { return say(ManualPage.text(reference)) }
    guard let name = arguments.first(where: { $0 != "--help" && $0 != "-h" }) else { return say(reference.help) }
    guard let command = commands.first(where: { $0.name == name }) else { return refuse("unknown command '\(name)'") }
    guard arguments.count == 1 else { return refuse("help is for one command at a time") }
    return say(command.help)
  }

  /// - Returns: the exit status.
  private static func say(_ text: String) -> Int32 {
    CommandError.status { () throws(CommandError) in
      try SystemFile.standardOutput.write(Array("\(text)\n".utf8)[...])
    }
  }

  /// - Returns: the exit status.
  private static func refuse(_ reason: String, _ command: (any Command.Type)? = nil) -> Int32 {
    let help = command.map { "nearfar help \($0.name)" } ?? "nearfar help"
    Log().plain("nearfar: \(reason)\nnearfar: see '\(help)'")
    return 2
  }
}
