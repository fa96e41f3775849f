import JSON
import Platform

/// A file of JSON objects, one on each line, each with the `step` of the training that it belongs to. Lines are only added at
/// the end; a run that goes on from a checkpoint first takes off what was written behind it.
package final class StepLines {
  package let path: String
  private let descriptor: Int32
  /// The content that was kept from before.
  package let kept: [UInt8]

  /// Opens the file, and creates it where there is none.
  ///
  /// - Parameter last: the last step of which lines are kept; nil empties the file.
  /// - Throws: ``RunError`` naming the file.
  package init(_ path: String, keepingTo last: Int?) throws(RunError) {
    var kept: [UInt8] = []
    if let last {
      do throws(WholeFile.Failure) {
        kept = Self.prefix(of: try WholeFile.read(path), to: last)
      } catch {
        guard error.isMissing else { throw RunError("cannot read \(path): \(error.message)") }
      }
    }
    descriptor = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o666)
    self.path = path
    self.kept = kept
    guard descriptor >= 0, ftruncate(descriptor, off_t(kept.count)) == 0, lseek(descriptor, 0, Int32(SEEK_END)) >= 0
    else {
      throw failure
    }
  }

  deinit {
    if descriptor >= 0 { systemClose(descriptor) }
  }

  /// Adds a line.
  ///
  /// - Parameter object: the text of one JSON object, without a line break.
  /// - Throws: ``RunError`` naming the file; a part of the line may have been written then.
  package func append(_ object: [UInt8]) throws(RunError) {
    guard (object + [0x0A]).withUnsafeBytes({ writeAll($0, to: descriptor) }) else { throw failure }
  }

  /// Waits until all lines are on the disk, so that a checkpoint that is written afterwards never has more steps than the file.
  package func flush() throws(RunError) {
    guard fsync(descriptor) == 0 else { throw failure }
  }

  private var failure: RunError { RunError("cannot write \(path): \(systemMessage())") }

  /// The whole lines up to a step. Lines stand in the order of steps, so that the first one that does not belong ends them.
  private static func prefix(of content: [UInt8], to last: Int) -> [UInt8] {
    var end = 0
    for line in lines(content) {
      guard line.endIndex < content.count, let step = object(line)?["step"]?.integer, step <= last else { break }
      end = line.endIndex + 1
    }
    return Array(content[..<end])
  }

  /// The lines without their breaks; what stands behind the last break is one, too.
  static func lines(_ content: [UInt8]) -> [ArraySlice<UInt8>] {
    content.split(separator: 0x0A, omittingEmptySubsequences: true)
  }

  static func object(_ line: ArraySlice<UInt8>) -> JSONValue? { try? JSONDocument(Array(line)).root }
}
