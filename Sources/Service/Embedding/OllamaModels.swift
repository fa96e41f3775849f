import Encoder
import JSON
import Platform

/// What Ollama says of its models: clients list them before their first text, and some look a model up by its name.
extension OllamaEndpoint {
  /// `GET /api/version`.
  func version(_ call: Call) {
    call.answer { writer in
      writer.object { $0.member("version", Version.current) }
    }
  }

  /// `GET /api/tags`: the models that there are.
  func tags(_ call: Call) {
    list(call) { _, writer in writer.member("modified_at", loadTime) }
  }

  /// `GET /api/ps`: the models that are loaded. Those here are, and stay so.
  func loaded(_ call: Call) {
    list(call) { texts, writer in
      writer.member("expires_at", "9999-12-31T23:59:59Z")
      writer.member("size_vram", 0)
      writer.member("context_length", texts.encoder.maxSequenceLength)
    }
  }

  /// `POST /api/show`: one model. Names are taken as they are where texts are embedded.
  func show(_ call: Call) throws {
    var fields = try Fields(try call.json(limits))
    let names = (try fields.string("model"), older: try fields.string("name"))
    guard let name = names.0 ?? names.older else { throw Problem.invalid("model", "is required") }
    let texts = try encoder(named: name)
    call.answer(reserving: 512) { writer in
      writer.object { writer in
        for name in ["modelfile", "parameters", "template"] { writer.member(name, "") }
        writer.key("details")
        writer.object { details(texts, to: &$0) }
        writer.key("model_info")
        writer.object { writer in
          // Clients find lengths by the name of the architecture.
          writer.member("general.architecture", Self.architecture)
          writer.member("general.basename", texts.name)
          writer.member("\(Self.architecture).context_length", texts.encoder.maxSequenceLength)
          writer.member("\(Self.architecture).embedding_length", texts.encoder.dimension)
        }
        writer.key("capabilities")
        writer.array { $0.string("embedding") }
        writer.member("modified_at", loadTime)
      }
    }
  }

  private static let architecture = "transformer"

  private var loadTime: String { Timestamp(seconds: loadedAt, milliseconds: 0).toTheSecond + "Z" }

  private func list(_ call: Call, _ more: (TextEncoder, inout JSONWriter) -> Void) {
    call.answer(reserving: 512) { writer in
      writer.object { writer in
        writer.key("models")
        writer.array { writer in
          for texts in models.all {
            writer.object { writer in
              // As a client completes a name that it was given without a tag.
              let name = "\(texts.name):latest"
              writer.member("name", name)
              writer.member("model", name)
              writer.member("size", texts.encoder.weightBytes)
              writer.member("digest", texts.encoder.fingerprint)
              writer.key("details")
              writer.object { details(texts, to: &$0) }
              more(texts, &writer)
            }
          }
        }
      }
    }
  }

  private func details(_ texts: TextEncoder, to writer: inout JSONWriter) {
    writer.member("parent_model", "")
    writer.member("format", "safetensors")
    writer.member("family", Self.architecture)
    writer.key("families")
    writer.array { $0.string(Self.architecture) }
    writer.member("parameter_size", "")
    writer.member("quantization_level", texts.encoder.precision.precision.rawValue.uppercased())
  }
}
