# ckpt: `make demo` and `make test` do all the set-up on a fresh Debian or Ubuntu machine.

BUILD_FLAGS := -c release
CKPT        := .build/release/ckpt
PREFIX      ?= /usr/local

.PHONY: demo build test lint interop fixtures bench check install setup

demo: build ## Inspect, convert, verify and run a real model.
	@scripts/demo.sh $(CKPT)

build: setup ## The command, optimized.
	swift build $(BUILD_FLAGS) --product ckpt

test: setup ## All tests; no Python needed.
	swift test $(BUILD_FLAGS) --disable-xctest

lint: ## Formatting, and what may import what.
	@scripts/lint.sh

interop: setup ## Python peers load what ckpt writes, and the other way round.
	@test -x $(CKPT) || swift build $(BUILD_FLAGS) --product ckpt
	CKPT=$(abspath $(CKPT)) scripts/interop/run.sh

fixtures: ## Make the fixtures again with the original libraries (not the trained model).
	fixtures/generate.sh

bench: build ## Side by side with what users would use instead.
	CKPT=$(abspath $(CKPT)) Benchmarks/run.sh

# Leaks are not looked for: constants in boxes are held by tagged pointers that it cannot see.
check: setup ## Address sanitizer, longer fuzzing.
	ASAN_OPTIONS=detect_leaks=0 CKPT_FUZZ=10 swift test --disable-xctest --sanitize=address --scratch-path .build-asan

SHARE := $(DESTDIR)$(PREFIX)/share

# What is installed holds Swift's own libraries, so that it runs where there is no Swift, and starts sooner.
STATIC := .build-static
install: setup ## Into PREFIX (default /usr/local), with the manual and what shells complete.
	swift build $(BUILD_FLAGS) --static-swift-stdlib --scratch-path $(STATIC) --product ckpt
	install -D -m 755 $(STATIC)/release/ckpt $(DESTDIR)$(PREFIX)/bin/ckpt
	install -d $(SHARE)/man/man1 $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions \
	  $(SHARE)/fish/vendor_completions.d
	install -m 644 docs/man/*.1 $(SHARE)/man/man1
	$(STATIC)/release/ckpt --generate-completion-script bash > $(SHARE)/bash-completion/completions/ckpt
	$(STATIC)/release/ckpt --generate-completion-script zsh > $(SHARE)/zsh/site-functions/_ckpt
	$(STATIC)/release/ckpt --generate-completion-script fish > $(SHARE)/fish/vendor_completions.d/ckpt.fish

setup: ## What the build needs from the system.
	@scripts/setup.sh
