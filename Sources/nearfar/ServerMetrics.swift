import HTTP1
import HTTPServer
import Service

/// What the server and its certificate have to say in the metrics. The admin port is left out: scrapes and probes would hide what
/// clients do.
struct ServerMetrics: Sendable {
  let statistics: ServerStatistics
  /// nil without TLS.
  let identity: TLSIdentity?

  func write(to text: inout MetricsText) {
    text.family("nearfar_connections", "gauge", "Open connections by what they are doing.")
    for activity in ConnectionActivity.allCases {
      text.sample("nearfar_connections", [("state", "\(activity)")], Double(statistics.connections[activity] ?? 0))
    }
    text.family("nearfar_timeouts_total", "counter", "Times that ran out, by what they were for.")
    for timeout in ConnectionTimeout.allCases {
      let kind = timeout == .proxyHeader ? "proxy_header" : "\(timeout)"
      text.sample("nearfar_timeouts_total", [("kind", kind)], Double(statistics.timeouts[timeout] ?? 0))
    }
    for (name, help, value) in [
      ("nearfar_connections_accepted_total", "Connections accepted.", statistics.connectionsAccepted),
      ("nearfar_bytes_received_total", "Bytes received.", statistics.bytesReceived),
      ("nearfar_bytes_sent_total", "Bytes sent.", statistics.bytesSent),
    ] {
      text.family(name, "counter", help)
      text.sample(name, [], Double(value))
    }
    for (name, help, value) in [
      ("nearfar_body_bytes", "Bytes of request bodies and answers in flight.", statistics.bodyBytes),
      ("nearfar_connections_held_back", "Connections whose bodies wait for memory.", statistics.connectionsHeldBack),
    ] {
      text.family(name, "gauge", help)
      text.sample(name, [], Double(value))
    }
    write(
      "nearfar_connections_rejected_total", "Connections refused.", "reason",
      [
        ("room", statistics.connectionsRejected), ("client", statistics.connectionsOfBusyClients),
        ("proxy_header", statistics.proxyHeadersRejected),
      ], to: &text)
    write(
      "nearfar_tls_handshakes_total", "TLS handshakes that have ended.", "result",
      [
        ("full", statistics.handshakes - statistics.handshakesResumed), ("resumed", statistics.handshakesResumed),
        ("failed", statistics.handshakesFailed),
      ], to: &text)
    guard let identity else { return }
    text.family("nearfar_tls_certificate_expiry_timestamp_seconds", "gauge", "When the certificate in use expires.")
    text.sample("nearfar_tls_certificate_expiry_timestamp_seconds", [], Double(identity.expiry))
  }

  private func write(
    _ name: String, _ help: String, _ label: String, _ samples: [(String, Int)], to text: inout MetricsText
  ) {
    text.family(name, "counter", help)
    for (value, count) in samples { text.sample(name, [(label, value)], Double(count)) }
  }
}
