import Synchronization

/// Which versions are still being read.
final class VersionRegistry: Sendable {
  private let readers = Mutex<[Int: Int]>([:])

  func began(_ version: Int) {
    readers.withLock { $0[version, default: 0] += 1 }
  }

  func ended(_ version: Int) {
    readers.withLock { readers in
      let left = (readers[version] ?? 1) - 1
      readers[version] = left > 0 ? left : nil
    }
  }

  /// The oldest version that somebody reads; nil when there is none.
  var oldest: Int? { readers.withLock { $0.keys.min() } }
}
