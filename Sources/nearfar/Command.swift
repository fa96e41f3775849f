import Platform

/// One command of the program: what help says of it, and what it does.
protocol Command: SendableMetatype {
  static var name: String { get }
  /// One line for the list of commands.
  static var summary: String { get }
  /// What help says beyond the summary and the flags, in whole sentences.
  static var details: String { get }
  /// Every flag of the command, in the order in which help shows them.
  static var flags: [any CommandFlag] { get }

  /// Does the command's job. What goes wrong with it is reported on standard error.
  ///
  /// - Returns: the exit status: 0 when the job is done, 1 when it failed.
  /// - Throws: ``UsageError`` when the call is wrong, before anything was done.
  static func run(_ arguments: Arguments) throws(UsageError) -> Int32
}

extension Command {
  /// What `nearfar help COMMAND` prints.
  static var help: String {
    let required = flags.filter(\.isRequired).map { " \($0.usage)" }.joined()
    let optional = flags.contains { !$0.isRequired } ? " [flags]" : ""
    var lines = ["usage: nearfar \(name)\(required)\(optional)", ""]
    lines += HelpText.wrapped(details, width: HelpText.width)
    lines += ["", "Flags:"]
    for flag in flags { lines += HelpText.entry(flag.usage, flag.help, column: 26) }
    return lines.joined(separator: "\n")
  }
}

/// Help in columns.
enum HelpText {
  static let width = 100

  /// A term, and beside it what it means.
  ///
  /// - Parameter column: where the meaning begins; it begins on the next line when the term reaches that far.
  static func entry(_ term: String, _ meaning: String, column: Int) -> [String] {
    let indent = String(repeating: " ", count: column)
    var lines = wrapped(meaning, width: width - column).map { indent + $0 }
    let first = "  \(term)"
    if first.count + 2 <= column, !lines.isEmpty {
      lines[0] = first + lines[0].dropFirst(first.count)
      return lines
    }
    return [first] + lines
  }

  /// The text in lines of at most `width` characters where its words allow that.
  static func wrapped(_ text: String, width: Int) -> [String] {
    var lines: [String] = []
    for paragraph in text.split(separator: "\n", omittingEmptySubsequences: false) {
      var line = ""
      for word in paragraph.split(separator: " ") {
        if !line.isEmpty, line.count + 1 + word.count > width {
          lines.append(line)
          line = ""
        }
        line += line.isEmpty ? word : " \(word)"
      }
      lines.append(line)
    }
    return lines
  }
}

/// Why a command could not do its job; it ends with exit status 1.
struct CommandError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }

  /// Does a command's job and reports what it throws.
  ///
  /// - Returns: the exit status.
  static func status(_ work: () throws(CommandError) -> Void) -> Int32 {
    do throws(CommandError) {
      try work()
      return 0
    } catch {
      Log().plain("nearfar: \(error)")
      return 1
    }
  }
}

/// `1 line`, `2 lines`.
func counted(_ count: Int, _ noun: String) -> String { count == 1 ? "1 \(noun)" : "\(count) \(noun)s" }
