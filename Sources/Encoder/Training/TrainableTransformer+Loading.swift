import Safetensors

extension TrainableTransformer {
  func load(into values: FloatArray) throws(EncoderError) {
    precondition(values.count == layout.count, "\(values.count) values for \(layout.count)")
    for entry in layout.entries {
      guard let checkpoint = checkpoints[entry.folder], let tensor = checkpoint.tensor(entry.name) else {
        throw EncoderError.folder(key: "model.safetensors: \(entry.name)", message: "is missing").within(entry.folder)
      }
      do {
        let floats = try tensor.floats()
        guard floats.count == entry.count else {
          throw EncoderError.folder(
            key: "model.safetensors: \(entry.name)", message: "has shape \(tensor.shape), expected \(entry.shape)"
          ).within(entry.folder)
        }
        floats.withUnsafeBufferPointer { source in
          if let first = source.baseAddress { (values.start + entry.start).update(from: first, count: entry.count) }
        }
      } catch let error as EncoderError {
        throw error
      } catch {
        throw EncoderError.folder(key: "model.safetensors: \(entry.name)", message: "\(error)").within(entry.folder)
      }
    }
    for checkpoint in checkpoints.values { checkpoint.releasePages() }
  }
}
