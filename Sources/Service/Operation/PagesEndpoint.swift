import CAssets
import HTTP1

/// What the program carries with it for people: the page at `/`, `/openapi.yaml`, and `/playground` to try the service with.
struct PagesEndpoint: Sendable {
  private let openapiPage: Page
  private let rootPage: Page
  private let files: [String: Page]

  /// One page in each coding. They are answered on the event loop, where nothing may take long, so they are compressed here.
  private struct Page {
    let plain: Response
    let compressed: Response

    init(_ response: Response, _ compression: AnswerCompression) {
      let isCompressed = compression.applies(to: response)
      plain = isCompressed ? response.varying() : response
      compressed = isCompressed ? plain.compressed(level: 9) : response
    }

    func answer(_ call: Call) { call.answer(call.answerCoding == .gzip ? compressed : plain) }
  }

  init(compression: AnswerCompression) {
    openapiPage = Page(
      Self.asset(nearfar_openapi_yaml(), nearfar_openapi_yaml_length(), "application/yaml"), compression)
    rootPage = Page(
      Self.asset(nearfar_index_html(), nearfar_index_html_length(), "text/html; charset=utf-8"), compression)
    var files: [String: Page] = [:]
    for index in 0..<nearfar_playground_count() {
      let file = nearfar_playground_part(index)
      let name = String(cString: file.name)
      // SAFETY: the file is a constant array of `length` bytes in the program.
      let body = Array(UnsafeBufferPointer(start: file.bytes, count: file.length))
      files[name] = Page(Response(status: 200, fields: Self.fields(of: name), body: body), compression)
    }
    self.files = files
  }

  func openapi(_ call: Call) { openapiPage.answer(call) }

  func page(_ call: Call) { rootPage.answer(call) }

  private static func asset(_ bytes: UnsafePointer<UInt8>?, _ count: Int, _ type: String) -> Response {
    // SAFETY: the asset is a constant array of `count` bytes in the program.
    let body = Array(UnsafeBufferPointer(start: bytes, count: count))
    return Response(status: 200, fields: HTTPFields([("Content-Type", type)]), body: body)
  }

  func playground(_ call: Call) throws { try answer(call, "index.html") }

  func playgroundPart(_ call: Call) throws {
    let name = call.parameters.first ?? ""
    // The page has one address.
    guard name != "index.html" else { throw Self.missing(name) }
    try answer(call, name)
  }

  private func answer(_ call: Call, _ name: String) throws {
    guard let file = files[name] else { throw Self.missing(name) }
    file.answer(call)
  }

  private static func missing(_ name: String) -> Problem { Problem(404, "the playground has no file '\(name)'") }

  /// The page runs its own scripts, speaks to its own server, and is shown in no frame. Text never becomes markup or code.
  private static let policy =
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    + "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

  private static func fields(of name: String) -> HTTPFields {
    HTTPFields([
      ("Content-Type", type(of: name)), ("Cache-Control", "no-cache"), ("Content-Security-Policy", policy),
      ("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
    ])
  }

  private static func type(of name: String) -> String {
    if name.hasSuffix(".html") { return "text/html; charset=utf-8" }
    if name.hasSuffix(".css") { return "text/css; charset=utf-8" }
    return "text/javascript; charset=utf-8"
  }
}
