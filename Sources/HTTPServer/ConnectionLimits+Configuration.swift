import HTTP1
import Platform

extension ConnectionLimits {
  /// The configuration's sizes and times, in the connection's units.
  init(_ configuration: ServerConfiguration) {
    self.init()
    maxHeadBytes = configuration.maxHeadBytes
    maxFields = configuration.maxFields
    idleTimeout = SystemClock.nanoseconds(configuration.idleTimeout)
    headTimeout = SystemClock.nanoseconds(configuration.headTimeout)
    bodyTimeout = SystemClock.nanoseconds(configuration.bodyTimeout)
    writeTimeout = SystemClock.nanoseconds(configuration.writeTimeout)
    minimumBodyRate = UInt64(clamping: configuration.minimumBodyRate)
  }
}
