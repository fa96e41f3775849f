import HTTP1

extension ConnectionLimits {
  /// The configuration's sizes and times, in the connection's units.
  init(_ configuration: ServerConfiguration) {
    self.init()
    maxHeadBytes = configuration.maxHeadBytes
    maxFields = configuration.maxFields
    idleTimeout = Clock.nanoseconds(configuration.idleTimeout)
    headTimeout = Clock.nanoseconds(configuration.headTimeout)
    bodyTimeout = Clock.nanoseconds(configuration.bodyTimeout)
    writeTimeout = Clock.nanoseconds(configuration.writeTimeout)
    minimumBodyRate = UInt64(clamping: configuration.minimumBodyRate)
  }
}
