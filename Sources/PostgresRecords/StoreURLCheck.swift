import CPQ
import VectorStore

extension StoreURL {
  /// Refuses an address that libpq cannot read.
  ///
  /// Most often a password in it has a character that had to be percent-encoded, so that a part of the password stands where
  /// something else is expected. libpq's message would repeat that part, and is therefore not shown; and whoever waits for such a
  /// database waits in vain.
  static func check(_ url: String) throws(OpenError) {
    // SAFETY: libpq allocates the options, an array that ends with one without a name; they are freed before this returns.
    guard let options = PQconninfoParse(url, nil) else { throw unreadable("it is not well-formed") }
    defer { PQconninfoFree(options) }
    var next = options
    while let name = next.pointee.keyword {
      // Where a password has an @, its rest is taken for the host, which messages would repeat.
      if String(cString: name) == "host", let value = next.pointee.val {
        // Folders of sockets, and names of abstract ones, may have one.
        let isOne = String(cString: value).split(separator: ",").allSatisfy { host in
          host.hasPrefix("/") || host.hasPrefix("@") || !host.contains("@")
        }
        guard isOne else { throw unreadable("its host has an @") }
      }
      if String(cString: name) == "port", let value = next.pointee.val {
        let isNumeric = String(cString: value).utf8.allSatisfy {
          (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: ",")
        }
        guard isNumeric else { throw unreadable("its port is not a number") }
      }
      next += 1
    }
  }

  private static func unreadable(_ why: String) -> OpenError {
    OpenError(
      "the address of the database cannot be read: \(why). Characters such as : / @ ? # % in a user's name or password must be "
        + "percent-encoded, as in %40 for @")
  }
}
