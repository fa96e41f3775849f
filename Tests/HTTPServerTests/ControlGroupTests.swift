import Platform
import Testing

/// Control groups as the files of a folder, as a container's and a service's look.
@Suite("Control group")
struct ControlGroupTests {
  /// Writes the files and reads what they say.
  private func group(_ files: [String: String]) throws -> ControlGroup {
    let root = "/tmp/nearfar-group-\(getpid())-\(UInt64.random(in: .min ... .max))"
    for (path, text) in files {
      var folder = root
      mkdir(folder, 0o700)
      for part in path.split(separator: "/").dropLast() {
        folder += "/\(part)"
        mkdir(folder, 0o700)
      }
      let descriptor = open("\(root)/\(path)", O_WRONLY | O_CREAT, 0o600)
      try #require(descriptor >= 0)
      #expect(Array(text.utf8).withUnsafeBytes { writeAll($0, to: descriptor) })
      systemClose(descriptor)
    }
    let group = ControlGroup(root: root)
    for path in files.keys { unlink("\(root)/\(path)") }
    return group
  }

  @Test("Without files there are no limits")
  func none() throws {
    let group = try group([:])
    #expect(group.memory == nil && group.cores == nil)
  }

  @Test("In a container the group is the root")
  func container() throws {
    let group = try group([
      "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "536870912\n", "sys/fs/cgroup/memory.high": "max\n",
      "sys/fs/cgroup/cpu.max": "150000 100000\n",
    ])
    #expect(group.memory == 536_870_912)
    #expect(group.cores == 1.5)
  }

  @Test("The limits of the groups above hold as well, and the least counts")
  func parents() throws {
    let group = try group([
      "proc/self/cgroup": "12:cpu:/x\n0::/system.slice/nearfar.service\n",
      "sys/fs/cgroup/system.slice/memory.max": "2000000000\n", "sys/fs/cgroup/system.slice/memory.high": "1500000000\n",
      "sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
      "sys/fs/cgroup/system.slice/nearfar.service/memory.max": "3000000000\n",
      "sys/fs/cgroup/system.slice/nearfar.service/cpu.max": "50000 100000\n",
    ])
    #expect(group.memory == 1_500_000_000)
    #expect(group.cores == 0.5)
  }

  @Test("What cannot be read is no limit", arguments: ["", "max", "-5", "0", "99999999999999999999", "1 2 3", "x\0y"])
  func odd(_ text: String) throws {
    let group = try group([
      "proc/self/cgroup": text, "sys/fs/cgroup/memory.max": text == "1 2 3" ? "max" : text,
      "sys/fs/cgroup/cpu.max": text,
    ])
    #expect(group.memory == nil && group.cores == nil)
  }
}
