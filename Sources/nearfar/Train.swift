import Encoder
import Platform
import Training

/// `nearfar train`: trains an encoder on pairs of texts, in this process.
enum TrainCommand: Command {
  static let name = "train"
  static let summary = "train an encoder on pairs of texts"
  static let details = """
    Trains the encoder of a folder on pairs of texts that belong together, and writes a folder that 'nearfar serve --model' and \
    Sentence Transformers load. Beside the model stand metrics.jsonl, a line for each step and each evaluation; times.jsonl, how long \
    each step took; and report.html, a page with curves, similarities and nearest neighbours before and after.

    Lines of the file of pairs are JSON objects {"query": "...", "positive": "...", "negatives": ["..."], "label": "..."}, of which \
    the last two may be left out; or, in a file whose name ends in .tsv, a query, a positive and any negatives between tabs.

    A run that was interrupted, by a signal or by a crash, goes on when the same command is called with --resume, and ends with the \
    same bytes as one that was not. The exit status is 130 behind SIGINT and 143 behind SIGTERM: the step was finished and a \
    checkpoint was written. A second signal ends the run at once.
    """
  static let flags: [any CommandFlag] = TrainFlags.all

  static func run(_ arguments: Arguments) throws(UsageError) -> Int32 {
    let plan = try TrainFlags.plan(arguments)
    let interruption = Interruption()
    return status(plan, interruption)
  }

  private static func status(_ plan: TrainingPlan, _ interruption: Interruption) -> Int32 {
    var progress = TrainingProgress()
    let run = TrainingRun(plan) { event in
      switch event {
      case .note(let words): progress.say(words)
      case .trainer(.step(let step, let seconds, let last)): progress.show(step, seconds: seconds, last: last)
      case .trainer(.evaluation(let evaluation, let isBest, _)): progress.show(evaluation, isBest: isBest)
      case .trainer(.checkpoint): break
      }
    } isAskedToStop: {
      interruption.signal != nil
    }
    do {
      switch try run.run() {
      case .finished: return 0
      case .nothingToDo:
        progress.say("the training in \(plan.output) has ended: there is nothing to do")
        return 0
      case .interrupted(let step):
        progress.say("stopped behind step \(step): the same command with --resume goes on from there")
        return 128 + (interruption.signal ?? SIGTERM)
      }
    } catch {
      progress.say("nearfar: \(words(error))")
      return 1
    }
  }

  /// What went wrong, with the flag where an option is at fault.
  private static func words(_ error: any Error) -> String {
    switch error {
    case StepError.option(let option, let reason): "\(TrainFlags.flag(ofOption: option)) \(reason)"
    case EncodingFailure.outOfMemory:
      "there is not enough memory; a smaller --chunk-tokens, --batch or --max-tokens needs less"
    case EncodingFailure.notFinite: "the model gives values that are not finite; a lower --lr may help"
    case EncodingFailure.invalidInput: "the model does not take a text of the batch"
    default: "\(error)"
    }
  }
}
