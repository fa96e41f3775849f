import Contrastive
import Encoder
import SimilarityCore

extension TrainingStep {
  /// The loss of vectors against a teacher's, with the weight that the options say beside the loss of the objective: the
  /// teacher's vector of the same text is to be the most similar one among those of all texts of the batch (contrastive
  /// distillation; Tian et al. 2020, arXiv 1910.10699).
  ///
  /// A text that occurs twice in the batch counts once, since it would be its own negative.
  func score(
    _ texts: BatchTexts, _ rows: Matrix, _ teacher: TeacherRows, _ options: LossOptions
  ) throws -> (result: LossResult, rows: Matrix) {
    var seen: Set<TokenSequence> = []
    let places = texts.online.indices.filter { seen.insert(texts.online[$0]).inserted }
    let targets = try teacher.rows(places.map { texts.online[$0] })
    var taught = LossOptions(.infonce, temperature: self.options.teacherTemperature)
    (taught.wantsGradients, taught.wantsDiagnostics, taught.threads) = (true, true, options.threads)
    var result = try ContrastiveLoss.evaluate(LossInput(queries: rows.rows(places), keys: targets), taught)
    let share = self.options.teacherWeight
    var values = [Float](repeating: 0, count: rows.values.count)
    if let gradients = result.gradients?.queries {
      for (index, place) in places.enumerated() {
        for (column, value) in gradients.row(index).enumerated() {
          values[place * rows.columns + column] = share * value
        }
      }
    }
    guard share < 1 else {
      // τ of the objective has no part in it.
      result.gradients?.temperature = 0
      return (result, Matrix(rows.rows, rows.columns, values))
    }
    var (own, derivatives) = try score(texts, rows, nil, options)
    for (place, value) in derivatives.values.enumerated() { values[place] += (1 - share) * value }
    own.loss = Double(share) * result.loss + Double(1 - share) * own.loss
    own.gradients?.temperature? *= Double(1 - share)
    own.gradients?.bias? *= Double(1 - share)
    derivatives = Matrix(rows.rows, rows.columns, values)
    return (own, derivatives)
  }
}
