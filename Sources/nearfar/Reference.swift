/// Everything that can be called, from which the list of commands, the manual page and completion are made.
struct Reference {
  /// A word that is called like a command but has no flags.
  struct Word {
    enum Argument {
      case none
      case optional([String])
      case required([String])
    }

    let name: String
    let argument: Argument
    /// What it does, without a capital and a full stop.
    let meaning: String

    var usage: String {
      switch argument {
      case .none: name
      case .optional: "\(name) [COMMAND]"
      case .required: "\(name) SHELL"
      }
    }

    var candidates: [String] {
      switch argument {
      case .none: []
      case .optional(let words), .required(let words): words
      }
    }
  }

  /// One sentence.
  let purpose: String
  let commands: [any Command.Type]
  let words: [Word]
  let statuses: [(status: String, meaning: String)]

  /// What can stand first in a call, each with what it does.
  var firstWords: [(name: String, meaning: String)] {
    commands.map { ($0.name, $0.summary) } + words.map { ($0.name, $0.meaning) }
  }

  /// What `nearfar help` prints.
  var help: String {
    """
    \(purpose)

    usage: nearfar COMMAND [flags]

    Commands:
    \(entries(commands.map { ($0.name, $0.summary) } + words.map { ($0.usage, $0.meaning) }))

    Exit status:
    \(entries(statuses.map { ($0.status, $0.meaning) }))
    """
  }

  private func entries(_ list: [(term: String, meaning: String)]) -> String {
    list.flatMap { HelpText.entry($0.term, $0.meaning, column: 20) }.joined(separator: "\n")
  }
}
