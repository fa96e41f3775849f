import Encoder
import Foundation
import SimilarityCore
import TestSupport
import Testing

/// The forward pass for training gives the rows of the one that serves.
@Suite struct TrainableTransformerTests {
  @Test(arguments: FamilyTests.families)
  func rowsAreThoseOfTheEncoder(_ family: FamilyTests.Family) throws {
    try compare("\(FamilyTests.folder)/\(family.name)", family.texts, tolerance: 1e-5)
  }

  /// Poolings, prompts that are not pooled, Dense modules, divided and rounded checkpoints.
  @Test(arguments: [
    "bert-cls-bf16-without-prompt", "bert-cls-dense-bf16-sharded", "bert-mean", "camembert-weighted", "distilbert-max",
    "gemma3-dense", "modernbert-cls", "modernbert-mean-bf16", "mpnet-mean", "nomic-bert-without-prompt",
    "qwen3-last-bf16", "roberta-sqrt-f16", "xlm-roberta-cls-mean-bf16",
  ]) func rowsOfSentenceTransformersAreThoseOfTheEncoder(_ name: String) throws {
    try compare(
      "\(FamilyTests.folder)/sentence-transformers/\(name)", ["a red hill", "the old lamp sees far", "wind"],
      tolerance: 1e-5)
  }

  @Test func rowsOfMiniLMAreThoseOfTheEncoder() throws {
    try compare(ModelFolder.path, FamilyTests.families.first?.texts ?? [], tolerance: 1e-5)
  }

  private func compare(_ folder: String, _ texts: [String], tolerance: Float) throws {
    let encoder = try SentenceEncoder(folder: folder)
    let trainable = try TrainableEncoder(folder: folder)
    #expect(trainable.maxSequenceLength == encoder.maxSequenceLength)
    let sequences = texts.enumerated().map { index, text in
      TokenSequence(
        trainable.tokenizer.encode(text, maxLength: trainable.maxSequenceLength).ids,
        unpooled: index.isMultiple(of: 2) ? 0 : 2)
    }
    let expected = try encoder.encode(sequences)
    let values = try FloatArray(trainable.model.layout.count)
    try trainable.model.load(into: values)
    let (rows, pass) = try trainable.model.forward(sequences, values, dropout: nil, keeps: false, nil)
    #expect(pass == nil)
    #expect(rows.rows == expected.rows && rows.columns == expected.columns)
    let largest = expected.values.reduce(0) { max($0, abs($1)) }
    for (found, wanted) in zip(rows.values, expected.values) {
      #expect(abs(found - wanted) <= tolerance * max(1, largest))
    }
  }
}
