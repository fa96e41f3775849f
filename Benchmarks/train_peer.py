#!/usr/bin/env python3
"""sentence-transformers as a side of train.py, in a process of its own, so that its memory can be measured.

    train_peer.py train --loss mnrl|cached --model DIR --pairs FILE --steps-file FILE [--output DIR] …
    train_peer.py recall --pairs FILE MODEL...

`train` reads the batches in the order of the file and writes a line to the steps file at the end of each step. `recall`
prints a JSON object for each model: recall@1 and recall@10 of the file's positives by its queries.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import train_data


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train")
    train.add_argument("--loss", choices=("mnrl", "cached"), required=True)
    train.add_argument("--model", type=Path, required=True)
    train.add_argument("--steps-file", type=Path, required=True)
    train.add_argument("--output", type=Path)
    train.add_argument("--batch", type=int, required=True)
    train.add_argument("--mini-batch", type=int, required=True, help="texts that `cached` embeds at once")
    train.add_argument("--rate", type=float, required=True)
    train.add_argument("--decay", type=float, required=True)
    train.add_argument("--clip", type=float, required=True)
    train.add_argument("--warmup", type=int, required=True, help="steps")
    train.add_argument("--temperature", type=float, required=True)
    train.add_argument("--seed", type=int, required=True)
    recall = commands.add_parser("recall")
    recall.add_argument("models", type=Path, nargs="+")
    for command in (train, recall):
        command.add_argument("--pairs", type=Path, required=True)
        command.add_argument("--threads", type=int, required=True)
    return parser.parse_args()


def train(options: argparse.Namespace) -> None:
    from datasets import Dataset
    from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
    from sentence_transformers import SentenceTransformerTrainingArguments as TrainingArguments
    from sentence_transformers.base.sampler import DefaultBatchSampler
    from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss, MultipleNegativesRankingLoss
    from torch.utils.data import SequentialSampler
    from transformers import TrainerCallback

    class InOrder(DefaultBatchSampler):
        def __init__(self, dataset, batch_size, drop_last, *_, **__) -> None:
            super().__init__(SequentialSampler(dataset), batch_size=batch_size, drop_last=drop_last)

    class Steps(TrainerCallback):
        def __init__(self, file) -> None:
            self.file = file

        def on_step_end(self, _, state, control, **__) -> None:
            self.file.write(json.dumps({"step": state.global_step}) + "\n")
            self.file.flush()

    model = SentenceTransformer(str(options.model), device="cpu")
    scale = 1 / options.temperature
    if options.loss == "mnrl":
        loss = MultipleNegativesRankingLoss(model, scale=scale)
    else:
        loss = CachedMultipleNegativesRankingLoss(model, scale=scale, mini_batch_size=options.mini_batch)
    queries, positives = train_data.read(options.pairs)
    settings = TrainingArguments(
        output_dir=str(options.steps_file.parent / "trainer"),
        num_train_epochs=1,
        per_device_train_batch_size=options.batch,
        dataloader_drop_last=True,
        batch_sampler=InOrder,
        learning_rate=options.rate,
        weight_decay=options.decay,
        max_grad_norm=options.clip,
        lr_scheduler_type="linear",
        warmup_steps=options.warmup,
        seed=options.seed,
        bf16=False,
        fp16=False,
        use_cpu=True,
        save_strategy="no",
        logging_steps=1,
        report_to="none",
        disable_tqdm=True,
    )
    with open(options.steps_file, "w", encoding="utf-8") as file:
        trainer = SentenceTransformerTrainer(
            model=model,
            args=settings,
            train_dataset=Dataset.from_dict({"query": queries, "positive": positives}),
            loss=loss,
            callbacks=[Steps(file)],
        )
        trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    if options.output:
        model.save_pretrained(str(options.output), create_model_card=False)
    print(json.dumps({"losses": losses}))


def recall(options: argparse.Namespace) -> None:
    import train_quality
    from sentence_transformers import SentenceTransformer

    queries, positives = train_data.read(options.pairs)
    for folder in options.models:
        model = SentenceTransformer(str(folder), device="cpu")
        rows = [
            model.encode(texts, batch_size=64, normalize_embeddings=True, show_progress_bar=False)
            for texts in (queries, positives)
        ]
        print(json.dumps({"model": str(folder), **train_quality.recalls(*rows)}), flush=True)


def main() -> None:
    options = arguments()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    # Models are folders on this machine; nothing is asked of a network.
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="true", CUDA_VISIBLE_DEVICES="")
    import torch

    torch.set_num_threads(options.threads)
    train(options) if options.command == "train" else recall(options)


if __name__ == "__main__":
    sys.exit(main())
