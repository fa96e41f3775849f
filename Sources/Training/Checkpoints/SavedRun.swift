import Encoder
import JSON
import Platform
import Safetensors

/// A checkpoint that was found whole.
package struct SavedRun: Sendable {
  static let stateFile = "state.json"
  static let arraysFile = "arrays.safetensors"
  /// The checksums of the other files, as the command sha256sum writes and checks them.
  static let sumsFile = "SHA256SUMS"

  /// The checkpoint's folder.
  package let path: String
  package let state: RunState
  private let arrays: SafetensorsArchive

  /// Reads a checkpoint and compares its checksums.
  ///
  /// - Throws: ``CheckpointError`` naming the file that is missing or is not what was written.
  init(_ path: String, _ operations: FileOperations) throws(CheckpointError) {
    self.path = path
    let sums = try Self.bytes("\(path)/\(Self.sumsFile)")
    var expected: [UInt8] = []
    for name in [Self.stateFile, Self.arraysFile] {
      expected += Self.line(try operations.digest(of: "\(path)/\(name)"), name)
    }
    guard sums == expected else {
      // The line that is as it should be tells which file is not.
      let isStateGood = sums.starts(with: expected.prefix { $0 != 0x0A })
      let file = isStateGood ? Self.arraysFile : Self.stateFile
      throw CheckpointError("\(path)/\(file)", "is damaged: its content is not what \(Self.sumsFile) says")
    }
    let text = try Self.bytes("\(path)/\(Self.stateFile)")
    do throws(FieldError) {
      state = try RunState(json: text)
    } catch {
      throw CheckpointError(path, "\(error)")
    }
    do throws(SafetensorsError) {
      arrays = try SafetensorsArchive(memoryMapping: "\(path)/\(Self.arraysFile)")
    } catch {
      throw CheckpointError(path, error.message)
    }
  }

  static func line(_ digest: [UInt8], _ name: String) -> [UInt8] {
    Array("\(SHA256.hexadecimal(digest))  \(name)\n".utf8)
  }

  private static func bytes(_ path: String) throws(CheckpointError) -> [UInt8] {
    do throws(WholeFile.Failure) {
      return try WholeFile.read(path, room: 64)
    } catch {
      throw CheckpointError(path, "cannot be read: \(error.message)")
    }
  }

  /// Copies the saved arrays into those of the run, which must have the same names and sizes.
  ///
  /// - Throws: ``CheckpointError`` naming the array that is missing, has another size, or is not wanted. The arrays are as they
  ///   were then.
  package func restore(into wanted: [(name: String, array: FloatArray)]) throws(CheckpointError) {
    func refused(_ message: String) -> CheckpointError { CheckpointError("\(path)/\(Self.arraysFile)", message) }
    var views: [TensorView] = []
    for (name, array) in wanted {
      guard let view = arrays.tensor(name) else { throw refused("has no array \(name)") }
      guard view.dtype == .f32, view.count == array.count else {
        throw refused("\(name) has \(view.count) values, and this run needs \(array.count)")
      }
      views.append(view)
    }
    if let other = arrays.names.first(where: { name in !wanted.contains { $0.name == name } }) {
      throw refused("has an array \(other), which this run does not need")
    }
    for (view, (_, array)) in zip(views, wanted) {
      // SAFETY: both have the same number of bytes.
      UnsafeMutableRawBufferPointer(array.values).copyMemory(from: view.bytes)
    }
    arrays.releasePages()
  }
}
