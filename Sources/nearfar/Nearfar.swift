import Platform
import Service

/// The program: one word chooses what it does.
@main
enum Nearfar {
  private static let usage = """
    Nearfar embeds text, scores contrastive losses and retrieves nearest neighbours over HTTP.

    usage: nearfar serve [flags]      run the service
           nearfar loss [flags]       score a batch in safetensors files and print what POST /loss answers
           nearfar index [flags]      embed and store the lines of a file in a collection of a running service
           nearfar export [flags]     write a collection of a running service to safetensors files
           nearfar import [flags]     store the vectors of a safetensors file in a collection of a running service
           nearfar backup --data DIR --output FILE
                                      copy a data folder's records to a new file, also while a service writes them
           nearfar check --data DIR   exit 0 when a data folder that no service has open is whole; a line a collection
           nearfar health [--url U]   exit 0 when the service at U (http://127.0.0.1:8080) is ready
           nearfar version

    flags of serve, each also as an environment variable (--max-body-bytes is NEARFAR_MAX_BODY_BYTES):
      --host ADDRESS          address to listen on (127.0.0.1)
      --port N                port to listen on, 0 for a free one (8080)
      --model DIR             model folder in the Hugging Face layout (models/all-MiniLM-L6-v2)
      --data DIR              folder that keeps collections; one process at a time (:memory:, which keeps nothing)
      --low-memory            vectors in a file of the data folder, mapped; codes and graphs stay in memory
      --precision auto|f32    number format of the encoder (auto)
      --threads N             work queues (the cores that the process may use)
      --max-connections N     connections at once (1024)
      --idle-timeout S        seconds between two requests of a connection (75)
      --drain-timeout S       seconds that requests in flight get after SIGTERM (30)
      --log-format text|json  lines on standard error (text)
      --max-body-bytes N, --max-inputs N, --max-input-chars N, --max-dim N, --max-k N, --max-json-depth N,
      --max-head-bytes N, --max-fields N
                              bounds on one request (GET /info shows them)

    flags of loss:
      --queries FILE, --keys FILE, --negatives FILE, --positives FILE, --labels FILE, --queue FILE
                              safetensors files with a tensor of that name, or with a single one
      --objective NAME        infonce, symmetric, nt_xent, dcl, supcon, sigmoid, simsiam, byol, moco (infonce)
      --temperature N, --normalize true|false, --in-batch-negatives true|false, --bias N
                              as in POST /loss
      --return A,B            of loss, per_row, gradients, diagnostics (loss)
      --output FILE           write loss and gradients as safetensors
      --threads N             threads that share the work (the cores that the process may use)

    flags of index, export and import:
      --url U                 where the service is (http://127.0.0.1:8080, or NEARFAR_URL)
      --collection NAME       index and import make one that is not there
      --retry S               seconds to keep trying while the service is away or busy (60)
    flags of index, which goes on where an interrupted run stopped (it keeps FILE.nearfar-progress until it is done):
      --input FILE            one JSON object a line; - reads standard input
      --text-field NAME       the field to embed
      --id-field NAME         the field with a point's id (the line's number)
      --metadata-fields A,B   the fields to keep (all others)
      --batch N               points a request (64)
      --skip-bad              pass over lines that cannot be stored, where the run would stop
    flags of export:
      --output FILE           - writes to standard output; FILE-00001-of-00003 and so on when one file cannot hold it
      --after ID, --limit N   a part, in the order of ids
      --shard-points N        at most so many points a file (as many as fit)
    flags of import:
      --input FILE            as export writes it, FILE-00001-of-00003 and so on included, or with a tensor alone: then
                              ids are row numbers
      --metric NAME           of a new collection: cosine, dot, euclidean (the file's, or cosine)
      --batch N               points a request (1000)
    """

  static func main() {
    // Whoever reads our standard output may leave: that is no reason to die.
    signal(SIGPIPE, SIG_IGN)
    // A limit on file sizes is an error of the write that meets it.
    signal(SIGXFSZ, SIG_IGN)
    let arguments = CommandLine.arguments.dropFirst()
    do throws(UsageError) {
      exit(try run(arguments.first ?? "", arguments.dropFirst()))
    } catch {
      complain("nearfar: \(error)\nnearfar: see nearfar help")
      exit(2)
    }
  }

  private static func run(_ command: String, _ arguments: ArraySlice<String>) throws(UsageError) -> Int32 {
    switch command {
    case "serve":
      let options = try Options(
        arguments, known: ServeOptions.flags, switches: ServeOptions.switches, environment: environment())
      return Serve.run(try ServeOptions(options))
    case "loss":
      return try Loss.run(try Options(arguments, known: Loss.flags, environment: [:]))
    case "index":
      return try Index.run(
        try Options(
          arguments, known: IndexOptions.flags, switches: IndexOptions.switches, environment: environment(["url"])))
    case "export":
      return try Export.run(try Options(arguments, known: Export.flags, environment: environment(["url"])))
    case "import":
      return try Import.run(try Options(arguments, known: Import.flags, environment: environment(["url"])))
    case "backup":
      return try BackUp.run(try Options(arguments, known: BackUp.flags, environment: [:]))
    case "check":
      return try Check.run(try Options(arguments, known: Check.flags, environment: [:]))
    case "health":
      let options = try Options(arguments, known: ["url"], environment: environment())
      let port = try options.integer("port", default: 8080, in: 0...65_535)
      let probe = try HealthProbe(url: options.string("url") ?? "http://127.0.0.1:\(port)")
      let status = try probe.status().get()
      print(status == 200 ? "ready" : "not ready: /readyz answered \(status)")
      return status == 200 ? 0 : 1
    case "version", "--version":
      print("nearfar \(Version.current)")
      return 0
    case "help", "--help", "-h":
      print(usage)
      return 0
    default:
      throw UsageError(description: command.isEmpty ? "a command is needed" : "unknown command '\(command)'")
    }
  }

  /// Variables of the environment that concern the program.
  private static func environment(_ flags: [String] = ServeOptions.flags + ["url"]) -> [String: String] {
    var variables: [String: String] = [:]
    for name in flags {
      let variable = Options.variable(name)
      if let value = getenv(variable) { variables[variable] = String(cString: value) }
    }
    return variables
  }

  private static func complain(_ text: String) {
    Log(json: false).plain(text)
  }
}
