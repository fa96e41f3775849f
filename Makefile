# Most steps are scripts in scripts/. Each announces what it does in lines that begin with "==>", and skips what is done already.
#   make run PORT=9000        serve elsewhere
#   make run MODEL=multilingual-e5-small   another encoder: a name in scripts/models/, or the path of a folder
#   make run ARGS='--threads 1'   any further flag of `nearfar serve`
#   make fuzz SECONDS=600 TARGETS=service   one target, for ten minutes

HOST ?= 127.0.0.1
PORT ?= 8080
MODEL ?= $(DEFAULT_MODEL)
ARGS ?=
BINARY := .build/release/nearfar
SECONDS ?= 60
TARGETS ?=
SANITIZERS ?= address
# A model that can be fetched is known by its name. Anything else is the path of a folder, which has to exist.
DEFAULT_MODEL := all-MiniLM-L6-v2
KNOWN_MODELS := $(patsubst scripts/models/%.sha256,%,$(wildcard scripts/models/*.sha256))
MODEL_NAME := $(filter $(KNOWN_MODELS),$(patsubst models/%,%,$(MODEL:/=)))
MODEL_FOLDER := $(if $(MODEL_NAME),models/$(MODEL_NAME),$(MODEL))
SWIFT_SOURCES := $(wildcard Package.swift Sources Tests Benchmarks Fuzz/Sources)

.DEFAULT_GOAL := help
.PHONY: help deps model build dist run test arm64 fuzz sanitize smoke bench format lint clean

help: ## list the targets
	@sed -n 's/^\([a-z0-9]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

deps: ## install the Debian packages that are missing
	@scripts/deps.sh build
	@scripts/toolchain.sh

model: deps ## fetch and verify the encoder MODEL: a name in scripts/models/ (all-MiniLM-L6-v2 unless given) or a folder
	@$(if $(MODEL_NAME),scripts/model.sh --model '$(MODEL_NAME)',test -f '$(MODEL)/config.json' || \
	  { echo "MODEL: '$(MODEL)' is no folder with a config.json, and none of the names $(KNOWN_MODELS)" >&2; exit 2; })

# What the tests need, whatever MODEL says.
.PHONY: default-model test-models
default-model: deps
	@scripts/model.sh --model $(DEFAULT_MODEL)

test-models: default-model
	@scripts/model.sh --model multilingual-e5-small

build: deps ## build .build/release/nearfar and http-echo
	@echo "==> build: swift build -c release"
	@swift build -c release

dist: deps build ## make .build/dist: tarball, Debian package and Python wheel for machines without Swift
	@scripts/deps.sh dist
	@scripts/dist.sh

run: deps model build ## set up what is missing, then serve on HOST:PORT
	@echo "==> serve: http://$(HOST):$(PORT) (Ctrl-C stops it)"
	@exec $(BINARY) serve --host $(HOST) --port $(PORT) --model '$(MODEL_FOLDER)' $(ARGS)

test: deps test-models ## set up what is missing, then run every test
	@scripts/deps.sh page shells metrics proxy database examples
	@scripts/test.sh

arm64: deps ## compile the kernels for arm64 and check them in an emulator
	@scripts/deps.sh arm64
	@scripts/arm64.sh

fuzz: deps ## fuzz every reader of foreign bytes for SECONDS each (Fuzz/README.md)
	@scripts/fuzz.sh $(SECONDS) $(TARGETS)

sanitize: deps default-model ## run the Swift tests under the sanitizers for addresses, undefined behaviour and threads (SANITIZERS=thread for one)
	@scripts/sanitize.sh $(SANITIZERS)

smoke: deps default-model ## test the deployment: replicas behind HAProxy, the image in a chroot, each package of dist (needs root)
	@scripts/deps.sh smoke dist database
	@scripts/smoke.sh

bench: deps default-model build ## measure speed and recall beside other libraries (Benchmarks/run.sh)
	@scripts/deps.sh bench database
	@Benchmarks/run.sh $(BINARY)

format: ## rewrite the Swift sources in the house style
	@swift format format --in-place --parallel --recursive $(SWIFT_SOURCES)

lint: ## check style of Swift, shell and Python sources
	@scripts/deps.sh build lint
	@scripts/toolchain.sh
	@scripts/lint.sh

clean: ## remove build products; the model stays
	rm -rf .build
