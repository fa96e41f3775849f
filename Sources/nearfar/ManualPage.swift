import Service

/// The manual page nearfar(1), as source for man(7).
enum ManualPage {
  static func text(_ reference: Reference) -> String {
    var lines = [
      #".TH NEARFAR 1 "" "nearfar \#(Version.current)" "User Commands""#,
      ".SH NAME",
      #"nearfar \- embed text, score contrastive losses and retrieve nearest neighbours over HTTP"#,
      ".SH SYNOPSIS",
    ]
    for (number, command) in reference.commands.enumerated() {
      let required = command.flags.filter(\.isRequired).map { " \(flag($0))" }.joined()
      let optional = command.flags.contains { !$0.isRequired } ? #" [\fIflags\fR]"# : ""
      lines += (number > 0 ? [".br"] : []) + [#"\fBnearfar \#(command.name)\fR\#(required)\#(optional)"#]
    }
    for word in reference.words { lines += [".br", #"\fBnearfar \#(escaped(word.usage))\fR"#] }

    lines += [".SH DESCRIPTION"] + paragraphs(reference.purpose)
    lines += paragraphs(
      "A flag's value follows it after a space or after an equals sign. A flag that names a variable can be given as that "
        + "environment variable, too; the command line wins.")

    lines.append(".SH COMMANDS")
    for command in reference.commands {
      lines += [".SS nearfar \(command.name)"] + paragraphs(command.details)
      for flag in command.flags { lines += [".TP", Self.flag(flag)] + paragraphs(flag.help) }
    }
    for word in reference.words {
      lines += [".SS nearfar \(escaped(word.usage))"]
      lines += paragraphs(word.meaning.prefix(1).uppercased() + word.meaning.dropFirst() + ".")
    }

    lines.append(".SH EXIT STATUS")
    for (status, meaning) in reference.statuses { lines += [".TP", status] + paragraphs("\(meaning).") }

    lines.append(".SH EXAMPLES")
    for (meaning, call) in examples {
      lines += [".TP", escaped(meaning), #"\fB\#(escaped(call))\fR"#]
    }
    return lines.joined(separator: "\n")
  }

  private static let examples = [
    ("Serve the model of a folder, and keep collections:", "nearfar serve --model DIR --data DIR"),
    (
      "Store the lines of a file in a running service:",
      "nearfar index --input docs.jsonl --collection docs --text-field body"
    ),
    ("Complete commands in this bash:", "source <(nearfar completion bash)"),
  ]

  private static func flag(_ flag: any CommandFlag) -> String {
    let name = #"\fB\#(escaped("--\(flag.name)"))\fR"#
    return flag.standsAlone ? name : #"\#(name) \fI\#(escaped(flag.placeholder))\fR"#
  }

  /// The text in short lines, as source has them, and without empty ones, which man(7) does not have: a paragraph begins
  /// with `.PP`.
  private static func paragraphs(_ text: String) -> [String] {
    text.split(separator: "\n").enumerated().flatMap { number, paragraph in
      (number > 0 ? [".PP"] : []) + HelpText.wrapped(String(paragraph), width: 68).map(escaped)
    }
  }

  /// The text so that nothing in it is a request or an escape, and so that a hyphen can be copied to a command line.
  private static func escaped(_ text: String) -> String {
    var escaped = ""
    for character in text {
      switch character {
      case "\\": escaped += #"\e"#
      case "-": escaped += #"\-"#
      case "'": escaped += #"\(aq"#
      case "^": escaped += #"\(ha"#
      case "~": escaped += #"\(ti"#
      case "`": escaped += #"\(ga"#
      case ".": escaped += escaped.isEmpty ? #"\&."# : "."
      default: escaped.append(character)
      }
    }
    return escaped
  }
}
