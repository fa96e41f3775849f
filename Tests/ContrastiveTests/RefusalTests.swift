import Contrastive
import Platform
import SimilarityCore
import TestSupport
import Testing

/// A batch that cannot be scored is refused, and the error names the field and, where one is at fault, the row.
@Suite struct RefusalTests {
  private func parameter(_ input: LossInput, _ objective: Objective, _ change: (inout LossOptions) -> Void = { _ in })
    -> String?
  {
    var options = LossOptions(objective)
    change(&options)
    do {
      _ = try ContrastiveLoss.evaluate(input, options)
      return nil
    } catch {
      return (error as? ContrastiveError)?.parameter ?? "\(error)"
    }
  }

  private func batch(_ objective: Objective, rows: Int = 6) -> LossCase {
    LossCase(objective) { ($0.rows, $0.queue) = (rows, objective == .moco ? 5 : nil) }
  }

  @Test(arguments: Objective.allCases, [6, 80]) func aRowOfZeros(_ objective: Objective, _ rows: Int) throws {
    let input = batch(objective, rows: rows).input
    #expect(parameter(input, objective) == nil)
    var broken = input
    broken.keys?.scaleRow(3, by: 0)
    #expect(parameter(broken, objective) == "keys[3]")
    broken = input
    broken.queries.scaleRow(rows - 1, by: 0)
    #expect(parameter(broken, objective) == "queries[\(rows - 1)]")
    // Without normalisation a row of zeros is valid.
    #expect(parameter(broken, objective) { $0.normalize = false } == nil)
    if objective.options.contains(.negatives) {
      var random = Seeded(1)
      broken = input
      var negatives = random.matrix(2 * rows, 8)
      negatives.scaleRow(5, by: 0)
      broken.negatives = .shared(negatives)
      #expect(parameter(broken, objective) == "negatives[5]")
      broken.negatives = .paired(negatives, perQuery: 2)
      #expect(parameter(broken, objective) == "negatives[5]")
      broken = input
      broken.queue = negatives
      #expect(parameter(broken, objective) == "queue[5]")
    }
  }

  @Test func temperatures() {
    for objective in Objective.allCases where objective.options.contains(.temperature) {
      for temperature: Float in [0, -0.07, .nan, .infinity, -.infinity, .leastNonzeroMagnitude] {
        #expect(parameter(batch(objective).input, objective) { $0.temperature = temperature } == "temperature")
      }
    }
    #expect(parameter(batch(.sigmoid).input, .sigmoid) { $0.bias = .nan } == "bias")
  }

  @Test func fieldsThatDoNotFit() throws {
    let good = try #require(Matrix(rows: 2, columns: 2, values: [1, 2, 3, 4]))
    let wide = try #require(Matrix(rows: 2, columns: 3, values: [1, 2, 3, 4, 5, 6]))
    let none = try #require(Matrix(rows: 0, columns: 2, values: []))
    func input(_ keys: Matrix? = nil, _ change: (inout LossInput) -> Void = { _ in }) -> LossInput {
      var input = LossInput(queries: good, keys: keys ?? good)
      change(&input)
      return input
    }
    #expect(parameter(input(wide), .infonce) == "keys")
    #expect(parameter(input(none), .infonce) == "keys")
    #expect(parameter(LossInput(queries: none, keys: good), .infonce) == "queries")
    #expect(parameter(LossInput(queries: good), .infonce) == "keys")
    #expect(parameter(input { $0.positives = [0, 2] }, .infonce) == "positives[1]")
    #expect(parameter(input { $0.positives = [-1, 0] }, .infonce) == "positives[0]")
    #expect(parameter(input { $0.positives = [0] }, .infonce) == "positives")
    #expect(parameter(LossInput(queries: good, keys: batch(.infonce).input.keys), .infonce) == "keys")
    #expect(parameter(input { $0.negatives = .shared(wide) }, .infonce) == "negatives")
    #expect(parameter(input { $0.negatives = .paired(good, perQuery: 3) }, .infonce) == "negatives")
    #expect(parameter(input { $0.negatives = .paired(good, perQuery: .max) }, .infonce) == "negatives")
    #expect(parameter(input { $0.negatives = .paired(good, perQuery: -1) }, .infonce) == "negatives")
    #expect(parameter(input { $0.queue = wide }, .moco) == "queue")
    #expect(parameter(input(), .moco) == "queue")
    #expect(parameter(input(), .supcon) == "labels")
    #expect(parameter(input { $0.labels = [1] }, .supcon) == "labels")
    #expect(parameter(LossInput(queries: good, labels: [1, 2]), .supcon) == "labels")
    let three = try #require(Matrix(rows: 3, columns: 2, values: [1, 2, 3, 4, 5, 6]))
    #expect(parameter(input(three), .infonce) == "positives")
    for objective in [Objective.symmetric, .ntXent, .sigmoid, .simsiam, .byol] {
      #expect(parameter(input(three), objective) == "keys")
    }
  }

  @Test(arguments: Objective.allCases) func whatTheObjectiveDoesNotUse(_ objective: Objective) {
    func refused(_ option: Objective.Option, _ change: (inout LossInput) -> Void) {
      guard !objective.options.contains(option) else { return }
      var input = batch(objective).input
      change(&input)
      #expect(parameter(input, objective) == option.rawValue)
    }
    refused(.labels) { $0.labels = Array(repeating: 0, count: 6) }
    refused(.positives) { $0.positives = Array(0..<6) }
    refused(.queue) { $0.queue = $0.queries }
    refused(.negatives) { $0.negatives = .shared($0.queries) }
  }

  @Test func decoupledWithoutNegatives() throws {
    let one = try #require(Matrix(rows: 1, columns: 2, values: [1, 2]))
    #expect(parameter(LossInput(queries: one, keys: one), .dcl) == "negatives")
    #expect(parameter(batch(.dcl).input, .dcl) { $0.inBatchNegatives = false } == "negatives")
    #expect(parameter(batch(.dcl, rows: 70).input, .dcl) { $0.inBatchNegatives = false } == "negatives")
  }

  /// NaN among the values is an error that names the row.
  @Test(arguments: [2, 70]) func rowsThatAreNoNumbers(_ rows: Int) throws {
    let broken = try #require(
      Matrix(rows: rows, columns: 2, values: [1, 2] + [Float](repeating: .nan, count: 2 * rows - 2)))
    for objective in [Objective.infonce, .symmetric, .ntXent, .sigmoid] {
      let found = parameter(LossInput(queries: broken, keys: broken), objective) { $0.normalize = false }
      #expect(found?.hasPrefix("queries[") == true, "\(objective): \(String(describing: found))")
    }
  }

  /// Rows whose products are near the limits of f32, or beyond, have finite results or are refused.
  @Test(arguments: [Float(1e-20), 1e9, 1e15, 9e18, 3e38], [2, 70])
  func figuresAreNumbers(_ length: Float, _ count: Int) throws {
    let values = (0..<count).map { $0 % 2 == 0 ? length : -length }
    let rows = try #require(Matrix(rows: count, columns: 1, values: values))
    for objective in Objective.allCases where objective != .moco && objective != .supcon {
      var options = LossOptions(objective, temperature: 1)
      (options.normalize, options.wantsGradients, options.wantsDiagnostics) = (false, true, true)
      let result: LossResult
      do {
        result = try ContrastiveLoss.evaluate(LossInput(queries: rows, keys: rows), options)
      } catch let error as ContrastiveError {
        #expect(error.row != nil)
        continue
      }
      #expect(result.loss.isFinite)
      #expect(result.perRow.allSatisfy { $0.isFinite })
      #expect(result.gradients?.queries.values.allSatisfy(\.isFinite) == true)
      let diagnostics = "\(result.diagnostics as Any)"
      #expect(!diagnostics.contains("inf)") && !diagnostics.contains("nan"), "\(objective): \(diagnostics)")
    }
  }

  /// When memory is missing, the error says so and does not blame the batch. The test runs in a process of its own,
  /// whose address space cannot grow.
  @Test(arguments: [false, true]) func aLossWithoutMemory(_ wantsDiagnostics: Bool) async {
    await #expect(processExitsWith: .exitCode(42)) { [wantsDiagnostics] in
      let rows = Matrix(rows: 512, columns: 1 << 15) { $0.update(repeating: 1) }
      let input = LossInput(queries: rows, keys: rows)
      var options = LossOptions(.infonce)
      options.wantsDiagnostics = wantsDiagnostics
      forbidGrowth()
      do {
        _ = try ContrastiveLoss.evaluate(input, options)
        exit(1)
      } catch {
        exit(error as? ProductFailure == .outOfMemory ? 42 : 2)
      }
    }
  }
}
