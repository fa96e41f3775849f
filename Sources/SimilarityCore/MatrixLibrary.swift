import COneDNN

/// The matrix library refused a product; never caused by values.
public struct ProductFailure: Error, Sendable {
  public init() {}
}

/// The library that products of matrices come from.
public enum MatrixLibrary {
  /// Its version and the instruction set that it uses here.
  public static var description: String { String(cString: nf_onednn_description()) }
}
