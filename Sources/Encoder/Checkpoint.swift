import JSON
import Safetensors
import Tokenization

/// The tensors of a model folder: `model.safetensors`, or the files that `model.safetensors.index.json` lists, among
/// which large checkpoints are divided.
package struct Checkpoint: Sendable {
  private let archives: [SafetensorsArchive]
  private let owners: [String: Int]

  /// - Parameter path: the folder.
  /// - Throws: ``EncoderError`` naming the file that is missing or malformed.
  package init(_ folder: ModelFolder) throws(EncoderError) {
    let index: JSONField?
    let files: [String]
    do throws(FieldError) {
      index = try folder.json("model.safetensors.index.json")
      files = try index.map { field throws(FieldError) in try Self.files(field) } ?? ["model.safetensors"]
    } catch {
      throw EncoderError(error)
    }
    var archives: [SafetensorsArchive] = []
    var owners: [String: Int] = [:]
    for file in files {
      do throws(SafetensorsError) {
        archives.append(try SafetensorsArchive(memoryMapping: "\(folder.path)/\(file)"))
      } catch {
        throw EncoderError(error)
      }
      for name in archives[archives.count - 1].names { owners[name] = archives.count - 1 }
    }
    self.archives = archives
    self.owners = owners
  }

  /// The names of the files, each once. They must stay within the folder.
  private static func files(_ index: JSONField) throws(FieldError) -> [String] {
    var files: Set<String> = []
    for (_, field) in try index.required("weight_map").members() {
      let name = try field.string()
      guard !name.isEmpty, !name.contains("/"), name.hasSuffix(".safetensors") else {
        throw field.refused("must name a .safetensors file of the folder")
      }
      files.insert(name)
    }
    guard !files.isEmpty else { throw index.refused("weight_map", "names no file") }
    return files.sorted()
  }

  /// The names of all tensors, in alphabetical order.
  package var names: [String] { owners.keys.sorted() }

  /// The size of all files.
  var byteCount: Int { archives.reduce(0) { $0 + $1.byteCount } }

  package func tensor(_ name: String) -> TensorView? {
    owners[name].flatMap { archives[$0].tensor(name) }
  }

  /// Returns to the system the memory that holds pages of the files.
  package func releasePages() {
    for archive in archives { archive.releasePages() }
  }
}
