/// A shell that completes calls of the program by a script which `nearfar completion` prints.
enum Shell: String, CaseIterable {
  case bash, zsh, fish

  /// `bash, zsh or fish`.
  static var names: String {
    let names = allCases.map(\.rawValue)
    return names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
  }

  func script(_ reference: Reference) -> String {
    switch self {
    case .bash: Self.bash(reference)
    case .zsh: Self.zsh(reference)
    case .fish: Self.fish(reference)
    }
  }

  // MARK: bash

  private static func bash(_ reference: Reference) -> String {
    var values: [String] = []
    var words: [String] = []
    for command in reference.commands {
      for flag in command.flags where !flag.standsAlone {
        let offer =
          switch flag.candidates {
          case .words(let words): "_nearfar_words '\(words.joined(separator: " "))'"
          case .files: "_nearfar_paths -f"
          case .folders: "_nearfar_paths -d"
          case .none: ":"
          }
        values.append("    '\(command.name) --\(flag.name)') \(offer); return ;;")
      }
      words.append(
        "    \(command.name)) _nearfar_words '\(command.flags.map { "--\($0.name)" }.joined(separator: " "))' ;;")
    }
    for word in reference.words where !word.candidates.isEmpty {
      words.append(
        "    \(word.name)) (( COMP_CWORD == 2 )) && _nearfar_words '\(word.candidates.joined(separator: " "))' ;;")
    }
    return """
      # Completion of nearfar in bash 4 and later. This session alone:  source <(nearfar completion bash)
      _nearfar_words() {
        mapfile -t COMPREPLY < <(compgen -W "$1" -- "$current")
      }

      _nearfar_paths() {
        mapfile -t COMPREPLY < <(compgen "$1" -- "$current")
        compopt -o filenames 2>/dev/null
      }

      _nearfar() {
        local current=${COMP_WORDS[COMP_CWORD]} flag=
        COMPREPLY=()
        if (( COMP_CWORD == 1 )); then
          _nearfar_words '\(reference.firstWords.map(\.name).joined(separator: " "))'
          return
        fi
        # bash makes three words of --flag=value.
        if [[ $current == '=' ]]; then
          flag=${COMP_WORDS[COMP_CWORD - 1]} current=
        elif [[ ${COMP_WORDS[COMP_CWORD - 1]} == '=' ]]; then
          flag=${COMP_WORDS[COMP_CWORD - 2]}
        else
          flag=${COMP_WORDS[COMP_CWORD - 1]}
        fi
        case "${COMP_WORDS[1]} $flag" in
      \(values.joined(separator: "\n"))
        esac
        case ${COMP_WORDS[1]} in
      \(words.joined(separator: "\n"))
        esac
      }
      complete -F _nearfar nearfar
      """
  }

  // MARK: zsh

  private static func zsh(_ reference: Reference) -> String {
    let firstWords = reference.firstWords.map { name, meaning in
      "      " + quoted("\(name):\(meaning)")
    }
    var cases: [String] = []
    for command in reference.commands {
      let flags = command.flags.map { flag in
        let brief = "[" + escaped(flag.brief, "\\[]:") + "]"
        guard !flag.standsAlone else { return "        " + quoted("--\(flag.name)\(brief)") }
        let action =
          switch flag.candidates {
          case .words(let words): "(\(words.joined(separator: " ")))"
          case .files: "_files"
          case .folders: "_files -/"
          case .none: " "
          }
        return "        " + quoted("--\(flag.name)=\(brief):\(escaped(flag.placeholder, "\\:")):\(action)")
      }
      cases.append("    \(command.name))\n      _arguments \\\n\(flags.joined(separator: " \\\n")) ;;")
    }
    for word in reference.words where !word.candidates.isEmpty {
      cases.append(
        "    \(word.name))\n      _arguments '1:\(word.name):(\(word.candidates.joined(separator: " ")))' ;;")
    }
    return """
      #compdef nearfar
      # Completion of nearfar in zsh: a file _nearfar in a folder of $fpath, or  source <(nearfar completion zsh)
      _nearfar() {
        if (( CURRENT == 2 )); then
          local -a commands=(
      \(firstWords.joined(separator: "\n"))
          )
          _describe -t commands command commands
          return
        fi
        shift words
        (( CURRENT -= 1 ))
        case $words[1] in
      \(cases.joined(separator: "\n"))
        esac
      }
      # A file of $fpath is the function's body at the first call; a sourced script registers the function.
      if [[ $funcstack[1] == _nearfar ]]; then
        _nearfar "$@"
      else
        compdef _nearfar nearfar
      fi
      """
  }

  // MARK: fish

  private static func fish(_ reference: Reference) -> String {
    var lines = [
      "# Completion of nearfar in fish. This session alone:  nearfar completion fish | source",
      "complete -c nearfar -f",
    ]
    for (name, meaning) in reference.firstWords {
      lines.append("complete -c nearfar -n __fish_use_subcommand -a \(name) -d \(quotedForFish(meaning))")
    }
    for command in reference.commands {
      for flag in command.flags {
        let values =
          switch flag.candidates {
          case _ where flag.standsAlone: ""
          case .words(let words): " -x -a \(quoted(words.joined(separator: " ")))"
          case .files: " -r -F"
          case .folders: " -x -a '(__fish_complete_directories)'"
          case .none: " -x"
          }
        lines.append(
          "complete -c nearfar -n '__fish_seen_subcommand_from \(command.name)' -l \(flag.name)\(values) "
            + "-d \(quotedForFish(flag.brief))")
      }
    }
    for word in reference.words where !word.candidates.isEmpty {
      lines.append(
        "complete -c nearfar -n '__fish_seen_subcommand_from \(word.name)' -a \(quoted(word.candidates.joined(separator: " ")))"
      )
    }
    return lines.joined(separator: "\n")
  }

  // MARK: quoting

  /// One word of bash and zsh, which know no escape within single quotes.
  private static func quoted(_ text: String) -> String {
    "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
  }

  private static func quotedForFish(_ text: String) -> String { "'\(escaped(text, #"\'"#))'" }

  /// The text with a backslash before each of some characters.
  private static func escaped(_ text: String, _ special: String) -> String {
    String(text.flatMap { special.contains($0) ? ["\\", $0] : [$0] })
  }
}

extension CommandFlag {
  /// The first sentence of the meaning, for one line of a menu.
  fileprivate var brief: String {
    let end = zip(meaning.indices, meaning.indices.dropFirst()).first { meaning[$0] == "." && meaning[$1] == " " }?.0
    let sentence = meaning[..<(end ?? meaning.endIndex)]
    return String(sentence.hasSuffix(".") ? sentence.dropLast() : sentence)
  }
}
