/// IMF-fixdate (RFC 9110, 5.6.7), by own arithmetic: the C library's is slow, locale-bound or not thread-safe.
public enum HTTPDate {
  private static let days = Array("ThuFriSatSunMonTueWed".utf8)
  private static let months = Array("JanFebMarAprMayJunJulAugSepOctNovDec".utf8)

  /// For instance `Sun, 06 Nov 1994 08:49:37 GMT`. Times before 1970 or beyond 9999 are held to these bounds.
  public static func bytes(unixSeconds: Int) -> [UInt8] {
    let seconds = max(0, min(unixSeconds, 253_402_300_799))
    let day = seconds / 86_400
    let (year, month, dayOfMonth) = civil(day)
    let clock = seconds % 86_400

    var text: [UInt8] = []
    text.reserveCapacity(29)
    text += days[(day % 7 * 3)..<(day % 7 * 3 + 3)]
    text.append(", ")
    appendTwoDigits(dayOfMonth, to: &text)
    text.append(ASCII.space)
    text += months[(month * 3 - 3)..<(month * 3)]
    text.append(ASCII.space)
    appendTwoDigits(year / 100, to: &text)
    appendTwoDigits(year % 100, to: &text)
    text.append(ASCII.space)
    appendTwoDigits(clock / 3600, to: &text)
    text.append(ASCII.colon)
    appendTwoDigits(clock / 60 % 60, to: &text)
    text.append(ASCII.colon)
    appendTwoDigits(clock % 60, to: &text)
    text.append(" GMT")
    return text
  }

  /// Year, month (1 to 12) and day (1 to 31) of a day counted from 1970-01-01, in the Gregorian calendar.
  private static func civil(_ day: Int) -> (year: Int, month: Int, day: Int) {
    var year = 1970 + day / 366  // never late; early by a few years at most
    var rest = day - daysBefore(year)
    while rest >= (isLeap(year) ? 366 : 365) {
      rest -= isLeap(year) ? 366 : 365
      year += 1
    }
    let lengths = [31, isLeap(year) ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    var month = 0
    while rest >= lengths[month] {
      rest -= lengths[month]
      month += 1
    }
    return (year, month + 1, rest + 1)
  }

  /// Days from 1970-01-01 to the first day of a year.
  private static func daysBefore(_ year: Int) -> Int {
    let past = year - 1
    return (year - 1970) * 365 + (past / 4 - past / 100 + past / 400) - (1969 / 4 - 1969 / 100 + 1969 / 400)
  }

  private static func isLeap(_ year: Int) -> Bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
  }

  private static func appendTwoDigits(_ number: Int, to text: inout [UInt8]) {
    text.append(ASCII.zero + UInt8(truncatingIfNeeded: number / 10 % 10))
    text.append(ASCII.zero + UInt8(truncatingIfNeeded: number % 10))
  }
}
