import HTTPClient

/// `nearfar health`: asks a running service's `/readyz`, as a container's health check.
struct HealthProbe {
  private let url: ServiceURL

  /// - Parameter url: `http://host[:port]`; a path is ignored.
  init(url: String) throws(UsageError) {
    do throws(ClientError) {
      let given = try ServiceURL(url)
      self.url = given.prefix.isEmpty ? given : try ServiceURL("http://\(given.authority)")
    } catch {
      throw UsageError(description: "--url \(error)")
    }
  }

  /// The status of `/readyz`, or why there is none.
  func status() -> Result<Int, UsageError> {
    let client = HTTPClient(url, timeout: 5, maxBodyBytes: 65_536)
    do throws(ClientError) {
      return .success(
        try client.send(ClientRequest("GET", "/readyz", fields: [(name: "Connection", value: "close")])).status)
    } catch {
      return .failure(UsageError(description: error.description))
    }
  }
}
