# Everything a developer needs: make test sets the machine up by itself.

GO       ?= go
BIN      := bin/mnemo
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null)
LINT     := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
FUZZTIME ?= 30s

.PHONY: build test lint bench fuzz setup

build:
	$(GO) build -trimpath -ldflags '-X main.release=$(VERSION)' -o $(BIN) ./cmd/mnemo

# The suite needs a real redis-server and a real PostgreSQL; Node.js only for the JavaScript examples.
test: setup
	$(GO) vet ./...
	@# 100,000 random histories, of which the race detector leaves time for few.
	$(GO) test -run TestReconcile_keeps_one_live_copy_of_each_turn ./memory
	@# The race detector takes memory of its own.
	$(GO) test -run TestMnemo_holds_stalled_streams ./cmd/mnemo
	$(GO) test -race -timeout 20m ./...

setup:
	@scripts/setup

lint:
	$(GO) run $(LINT) run ./...

bench:
	$(GO) test -run '^$$' -bench . -benchmem -benchtime 1s ./...

# Every fuzz target in turn, each for FUZZTIME.
fuzz:
	@grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed 's/func //' | while IFS=: read -r file name; do \
		$(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")" || exit 1; \
	done
