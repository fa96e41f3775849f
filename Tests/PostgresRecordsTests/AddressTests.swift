import PostgresRecords
import StoreSupport
import Testing
import VectorStore

/// Addresses of databases, and what libpq says about connections.
@Suite struct AddressTests {
  @Test(arguments: [
    ("postgresql://host/db", "postgresql://host/db"),
    ("postgresql://user@host:5432/db", "postgresql://user@host:5432/db"),
    ("postgres://user:secret@host/db", "postgres://user:***@host/db"),
    ("postgresql://user:s%40crets%3Aecret@host/db", "postgresql://user:***@host/db"),
    ("postgresql://user:sec:ret@host:1,other:2/db", "postgresql://user:***@host:1,other:2/db"),
    ("postgresql://user:sec@ret@host/db", "postgresql://user:***@host/db"),
    // libpq takes these for a password, too, or would do so if the slash were encoded.
    ("postgresql://user:sec?ret@host/db", "postgresql://user:***@host/db"),
    ("postgresql://user:sec/ret@host/db", "postgresql://user:***@host/db"),
    ("postgresql://user:12/3secret@host/db?sslmode=require", "postgresql://user:***@host/db?sslmode=require"),
    ("postgresql://user:sec?sslmode=ret@host/db", "postgresql://user:***@host/db"),
    ("postgresql://user:secret@[::1]:5432/db", "postgresql://user:***@[::1]:5432/db"),
    ("postgresql://user@[2001:db8::1]/db", "postgresql://user@[2001:db8::1]/db"),
    ("postgresql://[::1]/db", "postgresql://[::1]/db"),
    ("postgresql://:secret@host", "postgresql://:***@host"),
    ("postgresql://nearfar@/postgres?host=/tmp/a", "postgresql://nearfar@/postgres?host=/tmp/a"),
    ("postgresql://h/d?password=secret&user=u", "postgresql://h/d?password=***&user=u"),
    ("postgresql://h/d?user=u&PassWord=secret=secret", "postgresql://h/d?user=u&PassWord=***"),
    ("postgresql://h/d?sslpassword=secret", "postgresql://h/d?sslpassword=***"),
    ("postgresql://h/d?pass%77ord=secret", "postgresql://h/d?pass%77ord=***"),
    ("postgresql://h/d?oauth_client_secret=secret", "postgresql://h/d?oauth_client_secret=***"),
    ("postgresql://h/d?passfile=/run/pgpass&port=1,2", "postgresql://h/d?passfile=/run/pgpass&port=1,2"),
    ("postgresql://h/d?", "postgresql://h/d?"), ("postgresql://", "postgresql://"),
    ("postgresql://?", "postgresql://?"), ("postgresql://@", "postgresql://@"),
    ("postgresql://:@", "postgresql://:***@"),
    ("host=h password=secret", ""), ("", ""), ("mysql://user:secret@host", ""),
  ]) func secretsAreLeftOut(address: String, shown: String) {
    #expect(StoreURL.withoutSecrets(address) == shown)
    #expect(!StoreURL.withoutSecrets(address).contains("ret@"))
  }

  /// Where a password has a character that had to be encoded, no message repeats a part of it.
  @Test(arguments: [
    "postgresql://user:pass@wordsecret@host/db", "postgresql://user:pass/wordsecret@host/db",
    "postgresql://user:pass%wordsecret@host/db", "postgresql://user:wordsecret:5x@host:wordsecret/db",
  ]) func unreadableAddressesAreNotRepeated(address: String) {
    #expect {
      _ = try PostgresRecords.open(address)
    } throws: {
      "\($0)".contains("percent-encoded") && !"\($0)".contains("wordsecret")
    }
  }

  @Test(arguments: [
    (
      "FATAL:  28P01: password authentication failed for user \"u\"\nLOCATION:  auth_failed, auth.c:328\n", "28P01",
      false
    ),
    (
      #"connection to server at "h" (10.0.0.1), port 5432 failed: FATAL:  3D000: database "x" does not exist"#, "3D000",
      false
    ),
    // The labels are libpq's, the text is the server's.
    ("FATAL:  53300: désolé, trop de clients sont déjà connectés\nLOCATION:  InitProcess, proc.c:357\n", "53300", true),
    ("FATAL:  57P03: データベースシステムは起動しています\nHINT:  しばらく待ってください\nLOCATION:  x, y.c:1\n", "57P03", true),
    ("FATAL:  28000: no pg_hba.conf entry\nDETAIL:  Client IP address resolved to \"h\"\n", "28000", false),
    // Of several servers the last one counts.
    (
      "connection to server at \"a\" failed: Connection refused\n\tIs the server running?\n"
        + "connection to server at \"b\" failed: FATAL:  28P01: no\nLOCATION:  a, b.c:1\n", "28P01", false
    ),
  ]) func refusalsHaveTheirCode(text: String, state: String, mayPass: Bool) {
    let error = PostgresError.connection(text)
    #expect(error.state == state)
    #expect(error.mayPass == mayPass)
    #expect(!error.message.contains(state) && !error.message.contains("LOCATION") && !error.message.isEmpty)
  }

  @Test(arguments: [
    "", "\n\n",
    "connection to server on socket \"/tmp/x\" failed: No such file or directory\n\tIs the server running?\n",
    "could not translate host name \"h\" to address: Name or service not known\n", ":  ", ":  28P01", ":  28P0",
    "x:  28p01: y",
    "connection to server at \"a\" failed: FATAL:  28P01: no\nconnection to server at \"b\" failed: Connection refused\n",
    "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n",
    ":  é8P01: x", "😀:  ",
  ]) func otherFailuresHaveNone(text: String) {
    let error = PostgresError.connection(text)
    #expect(error.state == nil)
    #expect(error.mayPass)
    #expect(!error.message.isEmpty)
  }
}
