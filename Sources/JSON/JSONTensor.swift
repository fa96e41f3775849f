import CSimdjson

/// Numbers read from nested arrays.
public struct JSONTensor: Sendable {
  /// The number of entries along each axis, outermost first; empty for a single number.
  public var shape: [Int]
  /// The entries, row-major.
  public var values: [Float]
}

/// Which entry of an array is not as it should be, and why.
public struct JSONTensorError: Error, Sendable {
  /// What is wrong with the entry.
  public enum Reason: Sendable, Equatable {
    /// It is null, a string, a boolean or an object.
    case notANumber
    /// It is not a string, where strings were expected.
    case notAString
    /// Its length differs from that of the arrays before it.
    case ragged(expected: Int, found: Int)
    /// It is a number where its neighbours are arrays, or the reverse.
    case mixedDepth
    /// It is nested deeper than the allowed rank.
    case tooDeep
    /// It is beyond the range of a 32-bit float.
    case notFinite
  }

  /// Indices that lead to the entry, outermost first; empty for the value itself.
  public var path: [Int]
  /// What is wrong there.
  public var reason: Reason
}

extension JSONValue {
  /// The numbers of nested arrays, flattened in row-major order.
  ///
  /// `[]` has the shape [0], and `[[],[]]` the shape [2, 0]. The first entry of each level sets the shape that all
  /// others must have.
  /// - Parameter maximumRank: the deepest nesting to accept, from 0 (a single number) to 3.
  /// - Throws: `JSONTensorError` naming the first entry that does not fit.
  public func tensor(maximumRank: Int) throws(JSONTensorError) -> JSONTensor {
    var layout = csj_tensor_shape(document.tape, at, max(0, maximumRank))
    let values = [Float](unsafeUninitializedCapacity: layout.capacity) { buffer, written in
      // SAFETY: csj_tensor_read writes at most `capacity` floats, and returns how many it wrote.
      var single: Float = 0
      if let base = buffer.baseAddress {
        written = csj_tensor_read(document.tape, at, &layout, base)
      } else {
        written = csj_tensor_read(document.tape, at, &layout, &single)
      }
    }
    let path = Self.list(layout.path, count: layout.path_length)
    switch layout.reason {
    case CSJ_TENSOR_OK: return JSONTensor(shape: Self.list(layout.shape, count: layout.rank), values: values)
    case CSJ_TENSOR_RAGGED:
      throw JSONTensorError(path: path, reason: .ragged(expected: layout.expected, found: layout.found))
    case CSJ_TENSOR_MIXED_DEPTH: throw JSONTensorError(path: path, reason: .mixedDepth)
    case CSJ_TENSOR_TOO_DEEP: throw JSONTensorError(path: path, reason: .tooDeep)
    case CSJ_TENSOR_NOT_FINITE: throw JSONTensorError(path: path, reason: .notFinite)
    default: throw JSONTensorError(path: path, reason: .notANumber)
    }
  }

  /// The first `count` values of a C array, which Swift imports as a tuple.
  private static func list<Tuple>(_ tuple: Tuple, count: Int) -> [Int] {
    withUnsafeBytes(of: tuple) { Array($0.bindMemory(to: Int.self).prefix(count)) }
  }
}
